import type { Calls, StorageCall } from "../shared/protocol.js";
import { type StartedWorker, startWorker } from "./assets.js";
import { WorkerClient, workerError, type CallOptions } from "./worker-client.js";

/**
 * Starts the worker that stores models and holds none. Bundlers follow it because its URL is spelled out here, and
 * because it is another than the engine's, a page that only stores models is built without the built-in one.
 */
const modelsWorker = (): StartedWorker =>
  startWorker({
    start: () => new Worker(new URL("../worker/models.js", import.meta.url), { type: "module" }),
    script: "dist/internal/worker/models.js",
    files: ["dist/wasm/glassine_bg.wasm", "models/mini/manifest.json"],
  });

/** Makes a call in a worker of its own. */
export async function callOnce<Type extends StorageCall["type"]>(
  type: Type,
  request: Calls[Type]["request"],
  options: CallOptions,
): Promise<Calls[Type]["answer"]> {
  const client = new WorkerClient(modelsWorker);
  try {
    return await client.call(type, request, options);
  } finally {
    client.close(workerError("its work is done"));
  }
}
