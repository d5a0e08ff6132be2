import init from "../../wasm/glassine.js";
import { assetUrl } from "./assets.js";
import { startingOnce } from "./compile-module.js";

const moduleUrl = (): URL =>
  assetUrl("dist/wasm/glassine_bg.wasm", () => new URL("../../wasm/glassine_bg.wasm", import.meta.url));

/** Starts the engine's module, once, and gives its exports. */
export const startModule = startingOnce(moduleUrl, init);
