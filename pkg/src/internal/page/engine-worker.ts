/**
 * Starts the worker that holds an engine. Bundlers follow it because its URL is spelled out here, and build the
 * built-in model with it.
 */
export const engineWorker = (): Worker =>
  new Worker(new URL("../worker/engine.js", import.meta.url), { type: "module", name: "glassine" });
