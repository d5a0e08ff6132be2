/** `createEngine` for apps that bring their own model: a build of them does not have the files of the built-in one. */
import { engineWithoutMiniWorker } from "./internal/page/engine-without-mini-worker.js";
import { type Engine, loadEngine } from "./public/engine.js";
import type { CreateEngineOptions } from "./public/types.js";

export { configure, type AssetLocation, type Configuration } from "./public/configure.js";
export type { Engine, GenerateResult } from "./public/engine.js";

/**
 * Starts a worker and loads a model into it, any but `"mini"`.
 *
 * @throws GlassineError `model_not_found` for `"mini"`, and otherwise as `createEngine` of `glassine` does.
 *
 * @example
 * ```ts
 * const engine = await createEngine({ model: "https://example.com/dreamshaper/" });
 * ```
 */
export async function createEngine(options: CreateEngineOptions): Promise<Engine> {
  return loadEngine(engineWithoutMiniWorker, options);
}
