// What the page says of a model, so that a worker can read it.

import { GlassineError } from "../../public/errors.js";
import { manifestFile } from "../shared/manifest.js";
import { baseUrl } from "./assets.js";
import type { NamedLocation } from "../shared/protocol.js";
import { isModelName, ModelFolder } from "../shared/store.js";
import { show } from "./check-options.js";
import { suggestion } from "./suggestions.js";

/** Finds the model of this name, or at this URL. */
export async function locate(model: string | URL): Promise<NamedLocation> {
  if (model === "mini") return { kind: "mini" };
  if (model instanceof URL) return { kind: "url", url: packUrl(model).href };
  if (typeof model !== "string" || model === "") {
    throw new GlassineError("bad_option", `model must be a name or a URL, not ${show(model)}`, {
      hint: 'The model in this package is "mini". createEngine takes an object with a read function, too.',
    });
  }
  if (await ModelFolder.find(model)) return { kind: "stored", name: model };
  return { kind: "url", url: packUrl(model).href };
}

/** The failure to load what may have been meant as the name of a stored model, and was looked for as a URL. */
export async function explainMissing(model: string | URL, error: unknown): Promise<unknown> {
  const missing = error instanceof GlassineError && (error.code === "model_not_found" || error.code === "network");
  if (!missing || typeof model !== "string" || !/^[\w.-]+$/.test(model) || model === "mini") return error;
  const stored = (await ModelFolder.all().catch(() => [])).map(({ name }) => name);
  if (stored.includes(model)) return error;
  const there = stored.length > 0 ? `Stored are ${stored.map((name) => `"${name}"`).join(", ")}` : "No model is stored here";
  return new GlassineError("model_not_found", `no model is stored as "${model}", and as a URL: ${error.message}`, {
    hint: suggestion(model, ["mini", ...stored], "model") ?? `${there}; "mini" is the model in this package. models.import stores one.`,
    cause: error,
  });
}

/** Refuses what cannot be the name of a stored model. */
export function checkModelName(name: string): void {
  if (typeof name === "string" && isModelName(name)) return;
  throw new GlassineError("bad_option", `no stored model can be called ${show(name)}`, {
    hint: 'A name has up to 64 letters, digits, "_", "." and "-", and "mini" is taken by the model in this package.',
  });
}

/** Refuses what cannot be a number of transfers at a time. */
export function checkConcurrency(concurrency: number): void {
  if (Number.isInteger(concurrency) && concurrency >= 1 && concurrency <= 16) return;
  throw new GlassineError("bad_option", `concurrency must be a whole number from 1 to 16, not ${show(concurrency)}`);
}

/** The answer can take as long as the visitor likes, and no import depends on it. */
export function askToPersist(): void {
  void globalThis.navigator?.storage?.persist?.().catch(() => false);
}

/** The URL of a pack's folder, given with or without a last slash or "manifest.json". */
export function packUrl(model: string | URL): URL {
  let url: URL;
  try {
    url = new URL(model, baseUrl());
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
