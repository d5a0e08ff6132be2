export { configure, type AssetLocation, type Configuration } from "./public/configure.js";
export { edges, type EdgeOptions } from "./public/edges.js";
export { createEngine } from "./public/create-engine.js";
export type { Engine, GenerateResult } from "./public/engine.js";
export { errorCodes, GlassineError, type GlassineErrorCode, type GlassineErrorDetails } from "./public/errors.js";
export type { Layer } from "./public/layer.js";
export {
  adapterKinds,
  blendModes,
  conventions,
  edgesOf,
  modes,
  operators,
  quantizations,
  roles,
  samplers,
  vaes,
  type BlendMode,
  type EdgesOf,
  type Operator,
} from "./public/generated.js";
export type { Hires, Margins, Variation } from "./public/option-fields.js";
export type { Raster, Trimmed } from "./public/raster.js";
export { readRecipe, type ReadRecipe, type ReadRecipeOptions } from "./public/read-recipe.js";
export { Scene } from "./public/scene.js";
export { toSpriteSheet, type SpriteSheet } from "./public/sprite-sheet.js";
export { checkSupport, type Support } from "./public/support.js";
export type * from "./public/types.js";
