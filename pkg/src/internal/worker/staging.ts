// From files that arrive one by one to a stored model, whole or not at all.

import { GlassineError } from "../../public/errors.js";
import type { StoredModel } from "../../public/types.js";
import { parseManifest, type ShardEntry } from "../shared/manifest.js";
import { sha256 } from "../shared/sha256.js";
import { ModelFolder } from "../shared/store.js";

/**
 * A model that is being stored, in a worker that has its lock. A model of the
 * same name stays as it is until `commit`.
 */
export class Staging {
  readonly #folder: ModelFolder;
  readonly #origin: string | undefined;
  readonly #intact = new Set<string>();

  private constructor(folder: ModelFolder, origin: string | undefined) {
    this.#folder = folder;
    this.#origin = origin;
  }

  /** Begins to store a model, from a URL or made here, or goes on where an earlier attempt stopped. */
  static async open(name: string, origin?: string): Promise<Staging> {
    const folder = await ModelFolder.create(name);
    if (origin === undefined) await folder.beginPacking();
    const record = await folder.record();
    // What is not complete can be found, gone on with and removed, too.
    if (!record || (origin !== undefined && !record.manifest)) await folder.writeRecord({ origin, manifest: null });
    return new Staging(folder, origin);
  }

  /**
   * Hashes the shards that seem to be here, and gives those that are not here or not right; of equal ones, which are
   * stored once, one.
   */
  async missing(
    shards: readonly ShardEntry[],
    { signal, onBytes }: { signal: AbortSignal; onBytes: (checked: number, total: number) => void },
  ): Promise<ShardEntry[]> {
    const sizes = await this.#folder.sizes();
    const present = shards.filter((shard) => sizes.get(shard.sha256) === shard.bytes);
    const total = present.reduce((sum, { bytes }) => sum + bytes, 0);
    let checked = 0;
    for (const shard of present) {
      signal.throwIfAborted();
      if (await this.#folder.readIntact(shard.sha256)) this.#intact.add(shard.sha256);
      onBytes((checked += shard.bytes), total);
    }
    const missing = shards.filter((shard) => !this.#intact.has(shard.sha256));
    return [...new Map(missing.map((shard) => [shard.sha256, shard])).values()];
  }

  /** Rejects unless there is room for that many more bytes. */
  async checkRoom(needed: number): Promise<void> {
    await this.#folder.checkRoom(needed);
  }

  /** Stores a shard whose SHA-256 has just been computed. */
  async write(sha256: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    await this.#folder.write(sha256, bytes);
    this.#intact.add(sha256);
  }

  /** A shard that was written here. */
  async read(sha256: string): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = await this.#folder.read(sha256);
    if (bytes) return bytes;
    throw new GlassineError("io", `a file of ${this.#folder.name} could not be read`, { recoverable: true });
  }

  /** Removes what this attempt to store files has stored: it cannot be gone on with. */
  async discard(): Promise<void> {
    await this.#folder.undoPacking();
  }

  /** Makes the model exist, and removes what is no part of it. Gives the model. */
  async commit(manifest: Uint8Array<ArrayBuffer>): Promise<StoredModel> {
    const { shards } = parseManifest(manifest, this.#origin ?? this.#folder.name);
    const lacking = shards.find((shard) => !this.#intact.has(shard.sha256));
    if (lacking) throw new GlassineError("internal", `${lacking.file} was to be stored before its manifest`);
    const name = await sha256(manifest);
    await this.#folder.write(name, manifest);
    await this.#folder.writeRecord({ origin: this.#origin, manifest: name });
    await this.#folder.removeOthers(new Set([name, ...this.#intact]));
    return this.#folder.describe();
  }
}
