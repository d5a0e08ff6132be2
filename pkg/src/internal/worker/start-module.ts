import init from "../../wasm/glassine.js";
import { startingOnce } from "./compile-module.js";

/** Starts the engine's module, once, and gives its exports. */
export const startModule = startingOnce(init);
