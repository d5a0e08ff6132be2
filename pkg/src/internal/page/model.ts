// What the page says of a model, so that a worker can read it.

import { GlassineError } from "../../public/errors.js";
import { manifestFile } from "../shared/manifest.js";
import type { NamedLocation } from "../shared/protocol.js";
import { ModelFolder } from "../shared/store.js";

/** Finds the model of this name, or at this URL. */
export async function locate(model: string): Promise<NamedLocation> {
  if (model === "mini") return { kind: "mini" };
  if (typeof model !== "string") {
    throw new GlassineError("bad_option", "the model is neither a name nor a URL", {
      hint: 'The model in this package is "mini". createEngine takes an object with a read function, too.',
    });
  }
  if (await ModelFolder.find(model)) return { kind: "stored", name: model };
  return { kind: "url", url: packUrl(model).href };
}

/** The URL of a pack's folder, given with or without a last slash or "manifest.json". */
export function packUrl(model: string | URL): URL {
  let url: URL;
  try {
    url = new URL(model, globalThis.document?.baseURI);
  } catch (cause) {
    throw new GlassineError("bad_option", `"${model}" is neither the name of a model nor a URL`, {
      hint: 'The model in this package is "mini"; any other is given by its name, once it is stored, or by the URL of its folder.',
      cause,
    });
  }
  if (url.pathname.endsWith(`/${manifestFile}`)) return new URL(".", url);
  if (!url.pathname.endsWith("/")) url.pathname += "/";
  return url;
}
