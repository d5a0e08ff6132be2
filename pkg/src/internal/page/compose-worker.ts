import { type StartedWorker, startWorker } from "./assets.js";

/** Starts the worker that composites and encodes, and needs no engine. Bundlers follow it because its URL is spelled out here. */
export const composeWorker = (): StartedWorker =>
  startWorker({
    start: () => new Worker(new URL("../worker/compose.js", import.meta.url), { type: "module" }),
    script: "dist/internal/worker/compose.js",
    files: ["dist/wasm/compose_bg.wasm"],
  });
