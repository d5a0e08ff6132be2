import type { Calls, StorageCall } from "../shared/protocol.js";
import { WorkerClient, workerError, type CallOptions } from "./worker-client.js";

/** Starts the worker that holds an engine or stores a model. Bundlers follow it because its URL is spelled out here. */
export const engineWorker = (): Worker =>
  new Worker(new URL("../worker/engine.js", import.meta.url), { type: "module", name: "glassine" });

/** Makes a call that needs no model, in a worker of its own. */
export async function callOnce<Type extends StorageCall["type"]>(
  type: Type,
  request: Calls[Type]["request"],
  options: CallOptions,
): Promise<Calls[Type]["answer"]> {
  const client = new WorkerClient(engineWorker);
  try {
    return await client.call(type, request, options);
  } finally {
    client.close(workerError("its work is done"));
  }
}
