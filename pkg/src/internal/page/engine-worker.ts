import { type StartedWorker, startWorker } from "./assets.js";
import { miniNames } from "./mini-names.js";

/**
 * Starts the worker that holds an engine. Bundlers follow it because its URL is spelled out here, and build the
 * built-in model with it.
 */
export const engineWorker = (): StartedWorker =>
  startWorker({
    start: () => new Worker(new URL("../worker/engine.js", import.meta.url), { type: "module" }),
    script: "dist/internal/worker/engine.js",
    files: ["dist/wasm/glassine_bg.wasm", ...miniNames.map((name) => `models/mini/${name}`)],
  });
