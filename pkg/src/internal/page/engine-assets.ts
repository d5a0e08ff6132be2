import type { WorkerAssets } from "./assets.js";

/** What an engine's worker needs, apart from a model. */
export const engineAssets: WorkerAssets = {
  script: { path: "dist/workers/engine.js", url: () => new URL("../../workers/engine.js", import.meta.url) },
  module: { path: "dist/wasm/glassine_bg.wasm", url: () => new URL("../../wasm/glassine_bg.wasm", import.meta.url) },
};
