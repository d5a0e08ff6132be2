import type { RawLayer } from "../internal/shared/protocol.js";
import { Raster } from "./raster.js";
import type { Recipe, Role } from "./types.js";

/** One picture with transparency that an engine has made. */
export class Layer extends Raster {
  /** What it is in the picture that its request made. */
  readonly role: Role;
  /** The seed that made it; 0 for one that was decoded from an encoded picture. */
  readonly seed: number;
  /** What made it; undefined for a layer that was decoded from a latent. */
  readonly recipe: Readonly<Recipe> | undefined;

  /** @internal Layers come from an engine. */
  constructor(raw: RawLayer, recipe?: Recipe) {
    super(raw, recipe);
    this.role = raw.role;
    this.seed = raw.seed;
    this.recipe = recipe && Object.freeze(recipe);
  }
}
