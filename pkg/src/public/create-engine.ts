import { engineWorker } from "../internal/page/engine-worker.js";
import { type Engine, loadEngine } from "./engine.js";
import type { CreateEngineOptions } from "./types.js";

/**
 * Starts a worker and loads a model into it.
 *
 * @throws GlassineError `bad_option`, `model_not_found`, `model_damaged`, `model_unsupported`, `network`, `io`,
 * `storage_unavailable`, `device_unavailable`, `out_of_memory`, `worker_failed`, `aborted`.
 *
 * @example
 * ```ts
 * const engine = await createEngine({ model: "mini" });
 * const { layers } = await engine.generate({ prompt: "a red apple" });
 * const png = await layers[0].toBlob();
 * ```
 */
export async function createEngine(options: CreateEngineOptions): Promise<Engine> {
  return loadEngine(engineWorker, options);
}
