import type { Calls, StorageCall } from "../shared/protocol.js";
import { WorkerClient, workerError, type CallOptions } from "./worker-client.js";

/**
 * Starts the worker that stores models and holds none. Bundlers follow it because its URL is spelled out here, and
 * because it is another than the engine's, a page that only stores models is built without the built-in one.
 */
const modelsWorker = (): Worker =>
  new Worker(new URL("../worker/models.js", import.meta.url), { type: "module", name: "glassine-models" });

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
