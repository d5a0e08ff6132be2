import { type StartedWorker, startWorker } from "./assets.js";
import { engineAssets } from "./engine-assets.js";

/** Starts the worker that holds an engine, and does not know the built-in model. */
export const engineWithoutMiniWorker = (): StartedWorker => startWorker(engineAssets);
