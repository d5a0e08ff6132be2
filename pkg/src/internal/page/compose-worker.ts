/** Starts the worker that composites and encodes, and needs no engine. Bundlers follow it because its URL is spelled out here. */
export const composeWorker = (): Worker =>
  new Worker(new URL("../worker/compose.js", import.meta.url), { type: "module", name: "glassine-compose" });
