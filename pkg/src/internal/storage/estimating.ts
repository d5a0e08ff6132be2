import { manifestFile, parseManifest, totalBytes } from "./manifest.js";
import { toSource } from "../sources.js";
import { isComplete, ModelFolder, modelNameOf } from "./store.js";

/** What a model takes, by its manifest: all that can be known before its shards are fetched. */
export async function estimatePack(
  model: string,
  signal: AbortSignal,
): Promise<{ name: string; totalBytes: number; downloadBytes: number; manifest: Uint8Array<ArrayBuffer> }> {
  const named = await ModelFolder.find(model);
  const record = await named?.record();
  const stored = isComplete(record) ? await named?.readIntact(record.manifest) : undefined;
  const fetched = async (): Promise<Uint8Array<ArrayBuffer>> =>
    (await toSource(record?.origin ?? model)).read(manifestFile, { signal, again: false });
  const manifest = stored ?? (await fetched());
  const { name, shards } = parseManifest(manifest, model);

  const folder = named ?? (await ModelFolder.find(modelNameOf(name)));
  const here = await folder?.sizes();
  const missing = shards.filter((shard) => here?.get(shard.sha256) !== shard.bytes);
  return { name, totalBytes: totalBytes(shards), downloadBytes: totalBytes(missing), manifest };
}
