// The shards of a pack over HTTP.

import { GlassineError } from "../../public/errors.js";
import type { ShardEntry } from "../shared/manifest.js";
import { networkError, request, retry } from "../shared/fetch.js";
import { sha256 } from "../shared/sha256.js";

/** How shards are fetched. */
export interface ShardDownloads {
  /** The URL of the pack's folder. */
  origin: string;
  /** How many at a time. */
  concurrency: number;
  signal: AbortSignal;
  /** Is told how many bytes of all shards have arrived; never goes back. */
  onBytes: (received: number) => void;
  /** Is given each shard once it has been checked. */
  store: (shard: ShardEntry, bytes: Uint8Array<ArrayBuffer>) => Promise<void>;
}

/** Fetches shards, several at a time. The first failure stops the others. */
export async function downloadShards(
  shards: readonly ShardEntry[],
  { origin, concurrency, signal, onBytes, store }: ShardDownloads,
): Promise<void> {
  const received = new Map<ShardEntry, number>();
  let most = 0;
  const count = (shard: ShardEntry, bytes: number): void => {
    received.set(shard, bytes);
    const sum = [...received.values()].reduce((sum, bytes) => sum + bytes, 0);
    // A download that had to start from zero counts again when it is past where it was.
    if (sum > most) onBytes((most = sum));
  };
  onBytes(0);

  const failure = new AbortController();
  const stop = AbortSignal.any([signal, failure.signal]);
  const waiting = [...shards];
  const work = async (): Promise<void> => {
    for (let shard = waiting.shift(); shard && !stop.aborted; shard = waiting.shift()) {
      const entry = shard;
      const onBytes = (bytes: number): void => count(entry, bytes);
      await store(entry, await downloadShard(new URL(entry.file, origin), entry, { signal: stop, onBytes }));
    }
  };
  const workers = Array.from({ length: concurrency }, () => work().catch((error: unknown) => failure.abort(error)));
  await Promise.all(workers);
  stop.throwIfAborted();
}

/**
 * Fetches a shard and checks its length and SHA-256. A fault that may pass is
 * tried again, from the byte where it happened if the server can do that.
 * `onBytes` is told how many bytes are there; a start from zero takes it back.
 */
async function downloadShard(
  url: URL,
  shard: ShardEntry,
  { signal, onBytes }: { signal: AbortSignal; onBytes: (received: number) => void },
): Promise<Uint8Array<ArrayBuffer>> {
  const download = new ShardDownload(url, shard, onBytes);
  return retry(() => download.attempt(signal), signal);
}

class ShardDownload {
  readonly #url: URL;
  readonly #shard: ShardEntry;
  readonly #onBytes: (received: number) => void;
  readonly #bytes: Uint8Array<ArrayBuffer>;
  #received = 0;

  constructor(url: URL, shard: ShardEntry, onBytes: (received: number) => void) {
    this.#url = url;
    this.#shard = shard;
    this.#onBytes = onBytes;
    this.#bytes = new Uint8Array(shard.bytes);
  }

  /** Fetches what is missing, and gives the shard if it is right. */
  async attempt(signal: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    const begin = this.#received < this.#bytes.length ? this.#received : 0;
    const headers: HeadersInit = begin > 0 ? { range: `bytes=${begin}-` } : {};
    // The shard is about to be stored: the HTTP cache need not keep it, too.
    const response = await request(this.#url, { signal, headers, cache: "no-store" });
    const resumed = begin > 0 && response.status === 206;
    if (!resumed) this.#received = 0;
    const fits = await this.#receive(response);

    const { bytes, sha256: expected } = this.#shard;
    if (this.#received < bytes) throw this.#damaged(`has ${this.#received} bytes instead of ${bytes}`, resumed);
    if (fits && (await sha256(this.#bytes)) === expected) return this.#bytes;
    // If these were two answers that do not belong together, the next attempt starts from zero.
    this.#received = 0;
    throw this.#damaged(fits ? "does not have the SHA-256 that the manifest says" : `has more than ${bytes} bytes`, resumed);
  }

  /** Puts an answer behind what is there. Gives false if that is too much. */
  async #receive(response: Response): Promise<boolean> {
    const reader = response.body?.getReader();
    for (;;) {
      const chunk = await reader?.read().catch((cause: unknown) => {
        throw networkError(this.#url, cause);
      });
      if (!chunk?.value) return true;
      const part = chunk.value.subarray(0, this.#bytes.length - this.#received);
      this.#bytes.set(part, this.#received);
      this.#received += part.length;
      this.#onBytes(this.#received);
      if (part.length < chunk.value.length) {
        void reader?.cancel();
        return false;
      }
    }
  }

  #damaged(reason: string, recoverable: boolean): GlassineError {
    return new GlassineError("model_damaged", `${this.#url.href} ${reason}`, {
      hint: "What the server has is not what the pack's manifest says: publish the pack again.",
      recoverable,
    });
  }
}

