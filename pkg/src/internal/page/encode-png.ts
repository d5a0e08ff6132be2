import { composeWorker } from "./compose-worker.js";
import { WorkerClient, workerError } from "./worker-client.js";
import type { RawRaster } from "../shared/protocol.js";
import { Queue } from "./queue.js";

/** Milliseconds for which the worker waits for another picture. */
const idleTime = 5000;

const queue = new Queue();
let client: WorkerClient | undefined;
let idle: ReturnType<typeof setTimeout> | undefined;

/** Encodes a PNG of straight RGBA bytes, in a worker that all pictures of the page share. */
export function encodePng(raster: RawRaster): Promise<Blob> {
  return queue.add(async () => {
    clearTimeout(idle);
    if (!client || client.closed) client = new WorkerClient(composeWorker);
    try {
      return new Blob([await client.call("png", raster, {})], { type: "image/png" });
    } finally {
      idle = setTimeout(() => client?.close(workerError("its work is done")), idleTime);
    }
  });
}
