/** Starts the worker that holds an engine and does not know the built-in model. */
export const engineWithoutMiniWorker = (): Worker =>
  new Worker(new URL("../worker/engine-without-mini.js", import.meta.url), { type: "module", name: "glassine" });
