import { GlassineError } from "../../public/errors.js";
import { holdForReading } from "../shared/locks.js";
import { manifestFile, parseManifest, type ShardEntry } from "../shared/manifest.js";
import { findStored } from "../shared/store.js";
import { repairFile } from "./verify-model.js";

/**
 * Reads a stored model. From the first read of a call to the engine until its
 * end nobody can replace or remove the model. A file that is missing or damaged
 * is first fetched again from where the model came from.
 */
export class StoredSource {
  readonly #name: string;
  #hold: Promise<() => void> | undefined;
  /** The manifest that the engine was loaded by. */
  #manifest: { sha256: string; shards: readonly ShardEntry[] } | undefined;

  /** Whether the model was replaced, so that the engine has to be loaded anew. */
  outdated = false;

  constructor(name: string) {
    this.#name = name;
  }

  async read(path: string, { signal, again }: { signal: AbortSignal; again: boolean }): Promise<Uint8Array<ArrayBuffer>> {
    await (this.#hold ??= holdForReading(this.#name, signal));
    const { folder, record } = await findStored(this.#name);
    if (path === manifestFile) {
      const bytes = (await folder.readIntact(record.manifest)) ?? (await this.#repaired(path, record.manifest, signal));
      this.#manifest = { sha256: record.manifest, shards: parseManifest(bytes, this.#name).shards };
      return bytes;
    }
    if (this.#manifest?.sha256 !== record.manifest) throw this.#replaced();
    const shard = this.#manifest.shards.find(({ file }) => file === path);
    if (!shard) throw new GlassineError("model_damaged", `the manifest of "${this.#name}" has no ${path}`);
    const bytes = again ? undefined : await folder.read(shard.sha256);
    // The engine itself computes the hash of what it reads: here the length is enough.
    return bytes?.length === shard.bytes ? bytes : this.#repaired(path, shard.sha256, signal);
  }

  release(): void {
    this.#hold?.then(
      (release) => release(),
      () => {},
    );
    this.#hold = undefined;
  }

  async #repaired(file: string, sha256: string, signal: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    await repairFile(this.#name, file, signal);
    const { folder } = await findStored(this.#name);
    const bytes = await folder.read(sha256);
    if (bytes) return bytes;
    throw new GlassineError("io", `${file} of "${this.#name}" could not be read`, { recoverable: true });
  }

  #replaced(): GlassineError {
    this.outdated = true;
    return new GlassineError("io", `the stored model "${this.#name}" was replaced since it was loaded`, {
      hint: "Call again: the engine is rebuilt from the new one.",
      recoverable: true,
    });
  }
}
