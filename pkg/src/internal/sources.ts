// Where a model's files come from: the package, the browser's storage, a URL, or
// the caller.

import { GlassineError } from "../public/errors.js";
import type { ModelSource } from "../public/types.js";
import { miniFiles } from "./mini.js";
import { fetchBytes } from "./storage/download.js";
import { manifestFile } from "./storage/manifest.js";
import { ModelFolder } from "./storage/store.js";
import { StoredSource } from "./storage/stored.js";

/** A source that gives bytes of its own, and rejects with `GlassineError` only. */
export interface PackSource extends ModelSource {
  read(path: string, options: { signal: AbortSignal; again: boolean }): Promise<Uint8Array<ArrayBuffer>>;
  /** Is called after each call to the engine: nothing more is read for it. */
  release?(): void;
}

/** Turns the `model` option into a source. */
export async function toSource(model: string | ModelSource): Promise<PackSource> {
  if (model === "mini") return fetching(miniUrl);
  if (typeof model === "string") {
    if (await ModelFolder.find(model)) return new StoredSource(model);
    const base = packUrl(model);
    return fetching((path) => new URL(path, base));
  }
  if (typeof model?.read !== "function") {
    throw new GlassineError("bad_option", "model must be a string or an object with a read function", {
      hint: 'The model in this package is "mini".',
    });
  }
  return { read: (path, options) => readFrom(model, path, options) };
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

function fetching(urlOf: (path: string) => URL): PackSource {
  return {
    // What is damaged may be the copy in the browser's cache.
    read: (path, { signal, again }) => fetchBytes(urlOf(path), { signal, cache: again ? "reload" : "default" }),
  };
}

function miniUrl(path: string): URL {
  const url = miniFiles()[path];
  if (!url) {
    throw new GlassineError("model_not_found", `the built-in model has no file ${path}`, {
      hint: "Install the package again: its model is not complete.",
    });
  }
  return url;
}

async function readFrom(
  source: ModelSource,
  path: string,
  options: { signal: AbortSignal; again: boolean },
): Promise<Uint8Array<ArrayBuffer>> {
  let bytes: Awaited<ReturnType<ModelSource["read"]>>;
  try {
    bytes = await source.read(path, options);
    if (bytes instanceof Blob) return new Uint8Array(await bytes.arrayBuffer());
  } catch (cause) {
    if (cause instanceof GlassineError) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new GlassineError("io", `the model source could not read ${path}: ${reason}`, { cause });
  }
  // Copied, because the bytes are about to be moved into the worker.
  if (bytes instanceof Uint8Array) return new Uint8Array(bytes);
  if (bytes instanceof ArrayBuffer) return new Uint8Array(bytes.slice(0));
  throw new GlassineError("io", `the model source gave no bytes for ${path}`, {
    hint: "read() must give a Uint8Array, an ArrayBuffer or a Blob.",
  });
}
