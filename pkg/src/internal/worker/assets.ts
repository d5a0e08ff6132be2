// Where the package's files are: beside the worker's script, unless the page says otherwise when it starts the worker.

import { GlassineError } from "../../public/errors.js";
import type { AssetUrls } from "../shared/protocol.js";

let elsewhere: AssetUrls = {};
let mini: Readonly<Record<string, () => URL>> = {};

/** Takes the page's first message. */
export function setAssets(given: AssetUrls): void {
  elsewhere = given;
}

/** Names the files of the built-in model that this worker knows. */
export function setMini(files: Readonly<Record<string, () => URL>>): void {
  mini = files;
}

/** The URL of a file of the package; `beside` gives that beside the script. */
export function assetUrl(path: string, beside: () => URL): URL {
  const url = elsewhere[path];
  return url === undefined ? beside() : new URL(url);
}

/** The URL of a file of the built-in model. */
export function miniUrl(path: string): URL {
  const beside = mini[path];
  if (beside) return assetUrl(`models/mini/${path}`, beside);
  if (Object.keys(mini).length > 0) {
    throw new GlassineError("model_not_found", `the built-in model has no file ${path}`, {
      hint: "Install the package again: its model is not complete.",
    });
  }
  throw new GlassineError("model_not_found", 'the model "mini" is not part of "glassine/engine"', {
    hint: 'Import createEngine from "glassine", or give another model.',
  });
}
