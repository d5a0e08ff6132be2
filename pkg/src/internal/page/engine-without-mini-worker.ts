import { type StartedWorker, startWorker } from "./assets.js";

/** Starts the worker that holds an engine and does not know the built-in model. */
export const engineWithoutMiniWorker = (): StartedWorker =>
  startWorker({
    start: () => new Worker(new URL("../worker/engine-without-mini.js", import.meta.url), { type: "module" }),
    script: "dist/internal/worker/engine-without-mini.js",
    files: ["dist/wasm/glassine_bg.wasm"],
  });
