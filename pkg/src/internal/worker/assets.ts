// Where the package's files are: what the page says when it starts this worker.

import { GlassineError } from "../../public/errors.js";
import type { AssetUrls } from "../shared/protocol.js";

let assets: AssetUrls | undefined;

/** Takes the page's first message. */
export function setAssets(given: AssetUrls): void {
  assets = given;
}

/** The URL of the WebAssembly module. */
export function moduleUrl(): URL {
  if (!assets) throw new GlassineError("internal", "the worker was not told where its files are");
  return new URL(assets.module);
}

/** The URL of a file of the built-in model. */
export function miniUrl(path: string): URL {
  const url = assets?.mini[path];
  if (url !== undefined) return new URL(url);
  if (Object.keys(assets?.mini ?? {}).length > 0) {
    throw new GlassineError("model_not_found", `the built-in model has no file ${path}`, {
      hint: "Install the package again: its model is not complete.",
    });
  }
  throw new GlassineError("model_not_found", 'the model "mini" is not part of "glassine/engine"', {
    hint: 'Import createEngine from "glassine", or give another model.',
  });
}
