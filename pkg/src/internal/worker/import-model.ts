// Storing the pack at a URL, in the worker.

import type { StoredModel } from "../../public/types.js";
import { fetchBytes } from "../shared/fetch.js";
import { downloadShards } from "./download.js";
import { withLock } from "../shared/locks.js";
import { manifestFile, parseManifest, totalBytes, type Manifest } from "../shared/manifest.js";
import type { Calls, StorageTask } from "../shared/protocol.js";
import { undoPackings } from "../shared/undo-packing.js";
import { Staging } from "./staging.js";
import { packNameOf } from "../shared/store.js";

/** Stores a pack. */
export async function importPack(request: Calls["import"]["request"], task: StorageTask): Promise<StoredModel> {
  const { origin } = request;
  await undoPackings();
  const bytes = await fetchBytes(new URL(manifestFile, origin), { signal: task.signal, cache: "no-cache" });
  const manifest = parseManifest(bytes, origin);
  const name = request.name ?? packNameOf(manifest.name);
  const lock = { mode: "exclusive", signal: task.signal, onWait: () => task.report({ phase: "waiting" }) } as const;
  return withLock(name, lock, async () => {
    const staging = await Staging.open(name, origin);
    await addShards(staging, manifest, request, task);
    return staging.commit(bytes);
  });
}

/** Brings in what an earlier import has not left here already. */
async function addShards(
  staging: Staging,
  { shards }: Manifest,
  { origin, concurrency }: { origin: string; concurrency: number },
  { signal, report }: StorageTask,
): Promise<void> {
  const missing = await staging.missing(shards, {
    signal,
    onBytes: (checkedBytes, totalBytes) => report({ phase: "checking", checkedBytes, totalBytes }),
  });
  await staging.checkRoom(totalBytes(missing));
  const all = totalBytes(shards);
  const here = all - totalBytes(missing);
  await downloadShards(missing, {
    origin,
    concurrency,
    signal,
    onBytes: (received) => report({ phase: "downloading", loadedBytes: here + received, totalBytes: all }),
    store: (shard, bytes) => staging.write(shard.sha256, bytes),
  });
}
