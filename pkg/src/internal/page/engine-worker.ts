import { type StartedWorker, startWorker } from "./assets.js";
import { engineAssets } from "./engine-assets.js";
import { miniFiles } from "./mini-files.js";

/** Starts the worker that holds an engine. A build of a page that does so has the built-in model. */
export const engineWorker = (): StartedWorker => startWorker({ ...engineAssets, mini: miniFiles });
