// Finding out whether a stored model is whole, and making it whole again from
// where it came from, in the worker.

import { GlassineError } from "../../public/errors.js";
import type { Verification } from "../../public/types.js";
import { fetchBytes } from "../shared/fetch.js";
import { downloadShards } from "./download.js";
import { withLock } from "../shared/locks.js";
import { manifestFile, parseManifest, totalBytes, type Manifest, type ShardEntry } from "../shared/manifest.js";
import type { Calls, StorageTask } from "../shared/protocol.js";
import { sha256 } from "../shared/sha256.js";
import { findStored, type CompleteRecord, type ModelFolder } from "../shared/store.js";

/** Hashes every file of a stored model and, if asked to, fetches again those that are not right. */
export async function verifyModel({ name, repair }: Calls["verify"]["request"], task: StorageTask): Promise<Verification> {
  const { signal, report } = task;
  const lock = { mode: repair ? "exclusive" : "shared", signal, onWait: () => report({ phase: "waiting" }) } as const;
  return withLock(name, lock, async () => {
    const { folder, record } = await findStored(name);
    const manifest = await readManifest(folder, record);
    if (!manifest && !repair) return { intact: false, missing: [], damaged: [manifestFile] };
    const { shards } = manifest ?? (await repairManifest(folder, record, signal));

    const { missing, damaged } = await examine(folder, shards, task);
    if (repair) {
      await repairShards(folder, record, [...missing, ...damaged], task);
      await folder.writeRecord(record);
    }
    return {
      intact: repair || missing.length + damaged.length === 0,
      missing: missing.map(({ file }) => file),
      damaged: [...(manifest ? [] : [manifestFile]), ...damaged.map(({ file }) => file)],
    };
  });
}

/**
 * Makes one file of a stored model whole while others may read the model. Who
 * asks has found it missing or damaged, but somebody else may have been here first.
 */
export async function repairFile(name: string, file: string, signal: AbortSignal): Promise<void> {
  await withLock(`${name}/repair`, { mode: "exclusive", signal }, async () => {
    const { folder, record } = await findStored(name);
    const manifest = (await readManifest(folder, record)) ?? (await repairManifest(folder, record, signal));
    const shard = manifest.shards.find((shard) => shard.file === file);
    if (shard && !(await folder.readIntact(shard.sha256))) await repairShards(folder, record, [shard], { signal, report: () => {} });
  });
}

async function examine(
  folder: ModelFolder,
  shards: readonly ShardEntry[],
  { signal, report }: StorageTask,
): Promise<{ missing: ShardEntry[]; damaged: ShardEntry[] }> {
  const found = { missing: [] as ShardEntry[], damaged: [] as ShardEntry[] };
  const sizes = await folder.sizes();
  let checkedBytes = 0;
  for (const shard of shards) {
    signal.throwIfAborted();
    if (!sizes.has(shard.sha256)) found.missing.push(shard);
    else if (!(await folder.readIntact(shard.sha256))) found.damaged.push(shard);
    checkedBytes += shard.bytes;
    report({ phase: "checking", checkedBytes, totalBytes: totalBytes(shards) });
  }
  return found;
}

async function readManifest(folder: ModelFolder, record: CompleteRecord): Promise<Manifest | undefined> {
  const bytes = await folder.readIntact(record.manifest);
  return bytes && parseManifest(bytes, folder.name);
}

async function repairManifest(
  folder: ModelFolder,
  { origin, manifest }: CompleteRecord,
  signal: AbortSignal,
): Promise<Manifest> {
  if (origin === undefined) throw madeOfFiles(folder.name);
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    // A damaged record can have anything as its origin.
    bytes = await fetchBytes(new URL(manifestFile, origin), { signal, cache: "no-cache" });
    if ((await sha256(bytes)) !== manifest) throw new Error("there is another version of it now");
  } catch (cause) {
    throw cannotRepair(folder.name, origin, cause);
  }
  await folder.write(manifest, bytes);
  return parseManifest(bytes, folder.name);
}

async function repairShards(
  folder: ModelFolder,
  { origin }: CompleteRecord,
  shards: readonly ShardEntry[],
  { signal, report }: StorageTask,
): Promise<void> {
  if (shards.length === 0) return;
  if (origin === undefined) throw madeOfFiles(folder.name);
  try {
    await downloadShards(shards, {
      origin,
      concurrency: 4,
      signal,
      onBytes: (loadedBytes) => report({ phase: "downloading", loadedBytes, totalBytes: totalBytes(shards) }),
      store: (shard, bytes) => folder.write(shard.sha256, bytes),
    });
  } catch (cause) {
    throw cannotRepair(folder.name, origin, cause);
  }
}

function madeOfFiles(name: string): GlassineError {
  return new GlassineError("model_damaged", `the stored model "${name}" is damaged, and it was made of files that only the visitor has`, {
    hint: "Import the files again.",
  });
}

/** What is wrong is the model's damage; why it was not repaired comes second. Full storage speaks for itself. */
function cannotRepair(name: string, origin: string, cause: unknown): GlassineError {
  if (cause instanceof GlassineError && cause.code === "quota_exceeded") return cause;
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new GlassineError("model_damaged", `the stored model "${name}" is damaged, and ${origin} did not mend it: ${reason}`, {
    hint: `Call models.verify("${name}", { repair: true }) when its server can be reached, or import it again.`,
    recoverable: cause instanceof GlassineError && cause.recoverable,
    cause,
  });
}
