import { composeWorker } from "./compose-worker.js";
import { WorkerClient, workerError } from "./worker-client.js";
import type { Calls } from "../shared/protocol.js";
import { Queue } from "./queue.js";

/** Milliseconds for which the worker waits for more to do. */
const idleTime = 5000;

const queue = new Queue();
let client: WorkerClient | undefined;
let idle: ReturnType<typeof setTimeout> | undefined;

/** Makes a call that belongs to no scene, in a worker that the whole page shares. */
export function sharedCompose<Type extends "picture" | "edges" | "recipe" | "png" | "webp" | "sprites">(
  type: Type,
  request: Calls[Type]["request"],
  signal?: AbortSignal,
): Promise<Calls[Type]["answer"]> {
  return queue.add(async () => {
    clearTimeout(idle);
    if (!client || client.closed) client = new WorkerClient(composeWorker);
    try {
      return await client.call(type, request, { signal });
    } finally {
      idle = setTimeout(() => client?.close(workerError("its work is done")), idleTime);
    }
  }, signal);
}
