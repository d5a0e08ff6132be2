import { type StartedWorker, startWorker, type WorkerAssets } from "./assets.js";

const assets: WorkerAssets = {
  script: { path: "dist/workers/compose.js", url: () => new URL("../../workers/compose.js", import.meta.url) },
  module: { path: "dist/wasm/compose_bg.wasm", url: () => new URL("../../wasm/compose_bg.wasm", import.meta.url) },
};

/** Starts the worker that composites and encodes, and needs no engine. */
export const composeWorker = (): StartedWorker => startWorker(assets);
