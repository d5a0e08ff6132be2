// Where a model's files come from. A transfer that fails in a way that may pass is tried again.

import { GlassineError } from "../../public/errors.js";
import { fetchBytes, retry } from "../shared/fetch.js";
import type { NamedLocation, StorageTask } from "../shared/protocol.js";
import { miniUrl } from "./assets.js";
import { storedName } from "./stored-name.js";
import { StoredSource } from "./stored-source.js";

/** What a file is read for: `again` if it was read before and is damaged. */
export interface ReadOptions {
  signal: AbortSignal;
  again: boolean;
}

/** Gives a model's files by name, and rejects with `GlassineError` only. */
export interface PackSource {
  read(path: string, options: ReadOptions): Promise<Uint8Array<ArrayBuffer>>;
  /** Is called after each call to the engine: nothing more is read for it. */
  release?(): void;
  /** Whether the model is another one by now, so that the engine has to be loaded anew. */
  readonly outdated?: boolean;
}

/** The source for a location. A model that is to be stored is stored first, if it is not and can be. */
export async function openSource(model: NamedLocation, task: StorageTask): Promise<PackSource> {
  switch (model.kind) {
    case "mini":
      return fetching(miniUrl);
    case "url": {
      const name = model.store && (await storedName(model.url, model.store, task));
      return name === undefined ? fetching((path) => new URL(path, model.url)) : new StoredSource(name);
    }
    case "stored":
      return new StoredSource(model.name);
  }
}

function fetching(urlOf: (path: string) => URL): PackSource {
  // What is damaged may be the copy in the browser's cache.
  return retrying(async (path, { signal, again }) =>
    fetchBytes(urlOf(path), { signal, cache: again ? "reload" : "default" }),
  );
}

/** A source that reads with `read`, and again where that fails in a way that may pass. */
export function retrying(read: PackSource["read"]): PackSource {
  return { read: (path, options) => retry(() => read(checked(path), options), options.signal) };
}

/** A file's name, which comes from a manifest that nobody has vouched for yet. */
function checked(path: string): string {
  if (/^[\w-][\w.-]*$/.test(path)) return path;
  throw new GlassineError("model_damaged", `the model names a file that cannot be part of it: ${path}`);
}
