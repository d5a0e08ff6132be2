import init from "../../wasm/glassine.js";
import { fetchModule } from "./fetch-module.js";

let module: ReturnType<typeof init> | undefined;

/** Starts the engine's module, once, and gives its exports. */
export function startModule(): ReturnType<typeof init> {
  return (module ??= init({
    module_or_path: fetchModule(new URL("../../wasm/glassine_bg.wasm", import.meta.url)),
  }));
}
