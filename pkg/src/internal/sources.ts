// Where a model's files come from: the package, a URL, or the caller.

import { GlassineError } from "../public/errors.js";
import type { ModelSource } from "../public/types.js";
import { miniFiles } from "./mini.js";

/** Turns the `model` option into a source that rejects with `GlassineError` only. */
export function toSource(model: string | ModelSource): ModelSource {
  if (model === "mini") return { read: (path, options) => fetchBytes(miniUrl(path), options.signal) };
  if (typeof model === "string") {
    const base = packUrl(model);
    return { read: (path, options) => fetchBytes(new URL(path, base), options.signal) };
  }
  if (typeof model?.read !== "function") {
    throw new GlassineError("bad_option", "model must be a string or an object with a read function", {
      hint: 'The model in this package is "mini".',
    });
  }
  return { read: (path, options) => readFrom(model, path, options.signal) };
}

/** The URL of a pack's folder, given with or without a last slash or "manifest.json". */
function packUrl(model: string): URL {
  let url: URL;
  try {
    url = new URL(model, globalThis.document?.baseURI);
  } catch (cause) {
    throw new GlassineError("bad_option", `"${model}" is neither the name of a model nor a URL`, {
      hint: 'The model in this package is "mini"; any other is given by the URL of its folder.',
      cause,
    });
  }
  if (url.pathname.endsWith("/manifest.json")) return url;
  if (!url.pathname.endsWith("/")) url.pathname += "/";
  return url;
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

async function readFrom(source: ModelSource, path: string, signal: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
  let bytes: Awaited<ReturnType<ModelSource["read"]>>;
  try {
    bytes = await source.read(path, { signal });
    if (bytes instanceof Blob) return new Uint8Array(await bytes.arrayBuffer());
  } catch (cause) {
    if (cause instanceof GlassineError) throw cause;
    throw new GlassineError("io", `the model source could not read ${path}: ${messageOf(cause)}`, { cause });
  }
  // Copied, because the bytes are about to be moved into the worker.
  if (bytes instanceof Uint8Array) return new Uint8Array(bytes);
  if (bytes instanceof ArrayBuffer) return new Uint8Array(bytes.slice(0));
  throw new GlassineError("io", `the model source gave no bytes for ${path}`, {
    hint: "read() must give a Uint8Array, an ArrayBuffer or a Blob.",
  });
}

async function fetchBytes(url: URL, signal: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
  let response: Response;
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    response = await fetch(url, { signal });
    if (!response.ok) throw httpError(url, response.status);
    bytes = new Uint8Array(await response.arrayBuffer());
  } catch (cause) {
    if (cause instanceof GlassineError) throw cause;
    throw new GlassineError("network", `cannot fetch ${url.href}: ${messageOf(cause)}`, {
      hint: "Check the connection and, for another origin, that it allows this page to read it (CORS).",
      recoverable: true,
      cause,
    });
  }
  // Many servers answer a path that they do not know with their start page.
  if (response.headers.get("content-type")?.startsWith("text/html")) {
    throw new GlassineError("model_not_found", `there is no model file at ${url.href}: the server answered with a web page`, {
      hint: notFoundHint,
    });
  }
  return bytes;
}

const notFoundHint = 'Check the URL: it must be that of a folder with a manifest.json. The model in this package is "mini".';

function httpError(url: URL, status: number): GlassineError {
  if (status === 404 || status === 410) {
    return new GlassineError("model_not_found", `there is no model file at ${url.href} (HTTP ${status})`, {
      hint: notFoundHint,
    });
  }
  return new GlassineError("network", `${url.href} was refused (HTTP ${status})`, {
    hint: status >= 500 ? "The server has a fault: try again later." : "Check that this page may read the file.",
    recoverable: status >= 500 || status === 429,
  });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
