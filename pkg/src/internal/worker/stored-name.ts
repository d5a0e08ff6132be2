// Storing the model that is given to an engine by URL, before it is loaded.

import { GlassineError } from "../../public/errors.js";
import { fetchBytes } from "../shared/fetch.js";
import { manifestFile, parseManifest } from "../shared/manifest.js";
import type { StorageTask } from "../shared/protocol.js";
import { findByOrigin, isModelName, ModelFolder, modelNameOf } from "../shared/store.js";
import { importPack } from "./import-model.js";

/** The name under which the pack at a URL is stored, now if not before; undefined where this browser has no room for it. */
export async function storedName(
  origin: string,
  { name, concurrency }: { name: string | undefined; concurrency: number },
  task: StorageTask,
): Promise<string | undefined> {
  const stored = await findByOrigin(origin, name);
  if (stored !== undefined) return stored;
  try {
    return (await importPack({ origin, name: name ?? (await freeName(origin, task)), concurrency }, task)).name;
  } catch (error) {
    if (error instanceof GlassineError && ["storage_unavailable", "quota_exceeded"].includes(error.code)) return undefined;
    throw error;
  }
}

/** The pack's own name or, if no stored model can have it, its folder's; with a number if another model has it. */
async function freeName(origin: string, { signal }: StorageTask): Promise<string> {
  const bytes = await fetchBytes(new URL(manifestFile, origin), { signal, cache: "no-cache" });
  const titles = [parseManifest(bytes, origin).name, new URL(origin).pathname.split("/").at(-2) ?? "", "model"];
  const name = titles.map(modelNameOf).find(isModelName) ?? "model";
  for (let count = 1; ; count++) {
    const candidate = count === 1 ? name : `${name.slice(0, 58)}-${count}`;
    const folder = await ModelFolder.find(candidate);
    if (!folder || (await folder.record())?.origin === origin) return candidate;
  }
}
