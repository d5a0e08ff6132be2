import { Connection, composeWorker } from "./connection.js";
import type { RawRaster } from "./protocol.js";
import { Queue } from "./queue.js";
import { GlassineError } from "../public/errors.js";

/** Milliseconds for which the worker waits for another picture. */
const idleTime = 5000;

const queue = new Queue();
let connection: Connection | undefined;
let idle: ReturnType<typeof setTimeout> | undefined;

/** Encodes a PNG of straight RGBA bytes, in a worker that all pictures of the page share. */
export function encodePng(raster: RawRaster): Promise<Blob> {
  return queue.add(async () => {
    clearTimeout(idle);
    if (!connection || connection.closed) connection = new Connection(composeWorker);
    try {
      return new Blob([await connection.call("png", raster, {})], { type: "image/png" });
    } finally {
      idle = setTimeout(() => connection?.close(new GlassineError("internal", "its work is done")), idleTime);
    }
  });
}
