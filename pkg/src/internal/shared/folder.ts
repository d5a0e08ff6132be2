// Folders of files in the browser's private file system (OPFS).

import { GlassineError } from "../../public/errors.js";
import { sha256 } from "./sha256.js";

const roomFile = "room";

/** A folder of files. Writing works in workers only, removing in pages, too. */
export class Folder {
  /** What messages call it. */
  readonly name: string;
  protected readonly handle: FileSystemDirectoryHandle;
  readonly #fullHint: string;

  /** `fullHint` says what to do where there is no more room. */
  constructor(name: string, handle: FileSystemDirectoryHandle, fullHint: string) {
    this.name = name;
    this.handle = handle;
    this.#fullHint = fullHint;
  }

  /** The bytes of a file; undefined where it is missing or cannot be read. */
  async read(file: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const handle = await orUndefined(this.handle.getFileHandle(file));
    const bytes = await orUndefined(handle?.getFile().then((file) => file.arrayBuffer()));
    return bytes && new Uint8Array(bytes);
  }

  /** The bytes of a file that is named by its content; undefined where they are not what the name says. */
  async readIntact(name: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const bytes = await this.read(name);
    return bytes && (await sha256(bytes)) === name ? bytes : undefined;
  }

  async write(file: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    await this.writePieces(file, bytes.length, async () => bytes);
  }

  /** Writes a file of which one piece at a time is in memory. A `GlassineError` of `next` stops it. */
  async writePieces(file: string, length: number, next: (at: number) => Promise<Uint8Array<ArrayBuffer>>): Promise<void> {
    let at = 0;
    try {
      const access = await this.#open(file);
      try {
        while (at < length) {
          const piece = await next(at);
          writeAll(access, piece, at);
          at += piece.length;
        }
        access.truncate(length);
        access.flush();
      } finally {
        access.close();
      }
    } catch (cause) {
      throw cause instanceof GlassineError ? cause : writeError(this.name, length - at, cause, this.#fullHint);
    }
  }

  /** Removes a file. */
  async remove(file: string): Promise<void> {
    await this.handle.removeEntry(file);
  }

  /** Rejects unless there is room for that many more bytes. */
  async checkRoom(needed: number): Promise<void> {
    const room = await this.room(needed);
    if (room === needed) return;
    throw new GlassineError(
      "quota_exceeded",
      `${this.name} needs another ${needed} bytes of storage, and the browser grants ${room}: ${needed - room} bytes are missing`,
      { hint: this.#fullHint, recoverable: true },
    );
  }

  /**
   * How many of `wanted` bytes the browser lets this origin store. It is found
   * out by asking for them, because `navigator.storage.estimate()` need not say:
   * Chromium answers the same in private windows, where the quota is far smaller.
   * Browsers grant room in steps of up to 128 MiB, so that less than one more may fit.
   */
  async room(wanted: number): Promise<number> {
    const access = await this.#open(roomFile).catch((cause: unknown) => {
      throw writeError(this.name, wanted, cause, this.#fullHint);
    });
    const fits = (bytes: number): boolean => {
      try {
        access.truncate(bytes);
        return true;
      } catch {
        return false;
      }
    };
    try {
      if (fits(wanted)) return wanted;
      let [fitting, failing] = [0, wanted];
      while (failing - fitting > 1) {
        const middle = Math.floor((fitting + failing) / 2);
        if (fits(middle)) fitting = middle;
        else failing = middle;
      }
      return fitting;
    } finally {
      access.close();
      await this.remove(roomFile);
    }
  }

  async #open(file: string): Promise<SyncAccessHandle> {
    const handle = (await this.handle.getFileHandle(file, { create: true })) as WorkerFileHandle;
    opening.add(handle);
    try {
      return await handle.createSyncAccessHandle();
    } finally {
      opening.delete(handle);
    }
  }

  /** The length of every file. */
  async sizes(): Promise<Map<string, number>> {
    const sizes = new Map<string, number>();
    for await (const [name, handle] of this.handle) {
      if (handle.kind === "file") sizes.set(name, (await handle.getFile()).size);
    }
    return sizes;
  }
}

/** Files that are being opened: Chromium forgets to answer for one that is collected as garbage meanwhile. */
const opening = new Set<WorkerFileHandle>();

// TypeScript's library for pages leaves out what only workers have.
type WorkerFileHandle = FileSystemFileHandle & { createSyncAccessHandle(): Promise<SyncAccessHandle> };

interface SyncAccessHandle {
  write(bytes: Uint8Array<ArrayBuffer>, options: { at: number }): number;
  truncate(size: number): void;
  flush(): void;
  close(): void;
}

/** Writes all bytes at a place, though the browser may take fewer at a time. */
function writeAll(access: SyncAccessHandle, bytes: Uint8Array<ArrayBuffer>, start: number): void {
  for (let at = 0; at < bytes.length; ) {
    const written = access.write(bytes.subarray(at), { at: start + at });
    if (written === 0) throw new Error(`the browser wrote ${at} of ${bytes.length} bytes`);
    at += written;
  }
}

/** What of the package's storage there is. */
type Part = "models" | "shelf";

/** The folder of a part; undefined where there is none. */
export async function findFolder(part: Part): Promise<FileSystemDirectoryHandle | undefined> {
  const root = await orUndefined(globalThis.navigator?.storage?.getDirectory?.());
  const own = await orUndefined(root?.getDirectoryHandle("glassine"));
  return orUndefined(own?.getDirectoryHandle(part));
}

/** The folder of a part, made for what is called `name` if there is none. */
export async function createFolder(part: Part, name: string, fullHint: string): Promise<FileSystemDirectoryHandle> {
  try {
    const root = await navigator.storage.getDirectory();
    const own = await root.getDirectoryHandle("glassine", { create: true });
    return await own.getDirectoryHandle(part, { create: true });
  } catch (cause) {
    throw isQuotaExceeded(cause) ? writeError(name, 0, cause, fullHint) : storageUnavailable(cause);
  }
}

export function storageUnavailable(cause?: unknown): GlassineError {
  return new GlassineError("storage_unavailable", "this browser stores no models for this page", {
    hint: "Storage needs a secure page (HTTPS or localhost), and some browsers have none in private windows. A model can be used without being stored: give its URL to createEngine.",
    cause,
  });
}

/** What a promise gives; undefined where it rejects. */
export async function orUndefined<T>(promise: Promise<T> | undefined): Promise<T | undefined> {
  return promise?.catch(() => undefined);
}

function isQuotaExceeded(cause: unknown): boolean {
  return cause instanceof DOMException && cause.name === "QuotaExceededError";
}

/** Why another so many bytes of `name` could not be stored. */
export function writeError(name: string, bytes: number, cause: unknown, fullHint: string): GlassineError {
  if (isQuotaExceeded(cause)) {
    const message = `the browser's storage was full before another ${bytes} bytes of ${name}`;
    return new GlassineError("quota_exceeded", message, { hint: fullHint, recoverable: true, cause });
  }
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new GlassineError("io", `a file of ${name} could not be stored: ${reason}`, { recoverable: true, cause });
}
