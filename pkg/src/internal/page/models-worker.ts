import type { Calls, StorageCall } from "../shared/protocol.js";
import { type StartedWorker, startWorker, type WorkerAssets } from "./assets.js";
import { miniManifest } from "./mini-manifest.js";
import { WorkerClient, workerError, type CallOptions } from "./worker-client.js";

const assets: WorkerAssets = {
  script: { path: "dist/workers/models.js", url: () => new URL("../../workers/models.js", import.meta.url) },
  module: { path: "dist/wasm/glassine_bg.wasm", url: () => new URL("../../wasm/glassine_bg.wasm", import.meta.url) },
  mini: miniManifest,
};

/**
 * Starts the worker that stores models and holds none. Because it is another than the engine's, a page that only stores
 * models is built without the built-in one.
 */
const modelsWorker = (): StartedWorker => startWorker(assets);

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
