// What storing a model has to know of its manifest: which shards there are. The
// engine reads the rest, and checks all of it again.

import { GlassineError } from "../../public/errors.js";
import { maxPackBytes, maxShardBytes, packFormat } from "../../public/generated.js";

/** The manifest's name in every pack. */
export const manifestFile = "manifest.json";

/** One shard, as a manifest lists it. */
export interface ShardEntry {
  readonly file: string;
  readonly bytes: number;
  /** In lower-case hexadecimal. */
  readonly sha256: string;
}

export interface Manifest {
  readonly name: string;
  /** The names of the parts of a model that it has. */
  readonly parts: readonly string[];
  readonly shards: readonly ShardEntry[];
}

/** Reads a manifest that nobody has vouched for. `place` is where it was, for errors. */
export function parseManifest(json: Uint8Array, place: string): Manifest {
  const damaged = (reason: string): GlassineError =>
    new GlassineError("model_damaged", `the manifest of ${place} cannot be used: ${reason}`, {
      hint: "Check that this is a pack's folder, or pack the model again.",
    });
  let manifest: { glassine?: unknown; name?: unknown; components?: unknown; shards?: unknown } | null;
  try {
    manifest = JSON.parse(new TextDecoder().decode(json));
  } catch {
    throw damaged("it is not JSON");
  }
  if (typeof manifest?.glassine !== "number") throw damaged("it is not a pack's");
  if (manifest.glassine !== packFormat) {
    throw new GlassineError("model_unsupported", `the pack at ${place} has format ${manifest.glassine}`, {
      hint: `This version of the package reads format ${packFormat}: pack the model again.`,
    });
  }
  const { name, components, shards } = manifest;
  if (typeof name !== "string") throw damaged("it has no name");
  if (!Array.isArray(shards) || !shards.every(isShardEntry)) throw damaged("its list of shards is wrong");
  if (new Set(shards.map(({ file }) => file)).size < shards.length) throw damaged("it lists a shard twice");
  if (totalBytes(shards) > maxPackBytes) throw damaged("it is larger than any model");
  return { name, parts: Object.keys(Object(components)), shards };
}

function isShardEntry(entry: Partial<Record<keyof ShardEntry, unknown>> | null): entry is ShardEntry {
  const { file, bytes, sha256 } = entry ?? {};
  return (
    typeof file === "string" &&
    /^[\w-][\w.-]*\.safetensors$/.test(file) &&
    Number.isInteger(bytes) &&
    (bytes as number) > 0 &&
    (bytes as number) <= maxShardBytes &&
    typeof sha256 === "string" &&
    /^[0-9a-f]{64}$/.test(sha256)
  );
}

/** The lengths of these shards together. */
export function totalBytes(shards: readonly ShardEntry[]): number {
  return shards.reduce((sum, { bytes }) => sum + bytes, 0);
}
