import { estimate_gpu_memory } from "../../wasm/glassine.js";
import { manifestFile, parseManifest, totalBytes } from "../shared/manifest.js";
import type { Calls, NamedLocation, StorageTask } from "../shared/protocol.js";
import { isComplete, ModelFolder, modelNameOf } from "../shared/store.js";
import { openSource } from "./sources.js";

/** What a model takes, by its manifest: all that can be known before its shards are fetched. */
export async function estimateModel(
  { model, mode, width, height }: Calls["estimate"]["request"],
  task: StorageTask,
): Promise<Calls["estimate"]["answer"]> {
  const manifest = await readModelManifest(model, task);
  const { name, parts, shards } = parseManifest(manifest, placeOf(model));

  const folder = await ModelFolder.find(model.kind === "stored" ? model.name : modelNameOf(name));
  const here = await folder?.sizes();
  // The package's own model is as near as the page itself.
  const missing = model.kind === "mini" ? [] : shards.filter((shard) => here?.get(shard.sha256) !== shard.bytes);
  const gpuMemory = estimate_gpu_memory(manifest, mode, width, height);
  return { name, parts, totalBytes: totalBytes(shards), downloadBytes: totalBytes(missing), gpuMemory };
}

/** A model's manifest: of a stored one the stored one, if that is whole. */
export async function readModelManifest(model: NamedLocation, task: StorageTask): Promise<Uint8Array> {
  const folder = model.kind === "stored" ? await ModelFolder.find(model.name) : undefined;
  const record = await folder?.record();
  const stored = isComplete(record) ? await folder?.readIntact(record.manifest) : undefined;
  if (stored) return stored;
  const origin: NamedLocation = record?.origin === undefined ? model : { kind: "url", url: record.origin };
  return (await openSource(origin, task)).read(manifestFile, { signal: task.signal, again: false });
}

/** Where a model is, for messages. */
function placeOf(model: NamedLocation): string {
  if (model.kind === "url") return model.url;
  return model.kind === "stored" ? model.name : "the model";
}
