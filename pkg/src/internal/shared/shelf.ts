// The shelf: files that are kept beside models in the browser's private file system. One folder, in which each is
//
//   <sha256>       the file, named by its content
//   <sha256>.json  its record, which is written last
//
// A file is on the shelf once its record is whole; what is there without one was left by an addition that was cut off.

import { GlassineError } from "../../public/errors.js";
import type { ShelfFile } from "../../public/types.js";
import { createFolder, findFolder, Folder, orUndefined } from "./folder.js";
import { theShelf, withFreeLock } from "./locks.js";
import { sha256 } from "./sha256.js";

/** What to do where there is no more room. */
const fullHint = "Remove models or files of the shelf, or free space on the disk, then add it again.";

/** What a file is, as it is noted. */
export type ShelfRecord = Omit<ShelfFile, "misfit">;

const recordEnding = ".json";

/** The folder of the shelf. */
export class Shelf extends Folder {
  /** The shelf, if there is one. */
  static async find(): Promise<Shelf | undefined> {
    const handle = await findFolder("shelf");
    return handle && new Shelf("the shelf", handle, fullHint);
  }

  /** The shelf for a file that is added to it. */
  static async create(file: string): Promise<Shelf> {
    return new Shelf(file, await createFolder("shelf", file, fullHint), fullHint);
  }

  /** The files that are on it by their names, and the names of what belongs to none. */
  async content(): Promise<{ files: ShelfRecord[]; strays: string[] }> {
    const sizes = await this.sizes();
    const records = [...sizes.keys()].filter((name) => name.endsWith(recordEnding));
    const read = await Promise.all(records.map(async (name) => parseRecord(await this.read(name))));
    const files = read.filter(
      (record, index): record is ShelfRecord =>
        record !== undefined && recordOf(record.sha256) === records[index] && sizes.get(record.sha256) === record.bytes,
    );
    const own = new Set(files.flatMap(({ sha256 }) => [sha256, recordOf(sha256)]));
    return { files: files.sort(byName), strays: [...sizes.keys()].filter((name) => !own.has(name)) };
  }

  /** A file that is on it, as long as nobody removes it. */
  async open({ sha256, file, bytes }: ShelfRecord): Promise<File | undefined> {
    const handle = await orUndefined(this.handle.getFileHandle(sha256));
    const stored = await orUndefined(handle?.getFile());
    return stored?.size === bytes ? new File([stored], file) : undefined;
  }

  /** Puts a file on it whose bytes are written. */
  async writeRecord(record: ShelfRecord): Promise<void> {
    await this.write(recordOf(record.sha256), await encodeRecord(record));
  }

  /** Takes a file off it, or what there is of it. */
  async takeOff(sha256: string): Promise<void> {
    // Without its record it is not there any more, whatever becomes of the rest.
    await orUndefined(this.remove(recordOf(sha256)));
    await orUndefined(this.remove(sha256));
  }

  /** Removes what additions have left that were cut off. To be called with the lock. */
  async sweep(): Promise<void> {
    for (const name of (await this.content()).strays) await orUndefined(this.remove(name));
  }
}

/** The files on the shelf, by their names. What an addition has left is removed, unless somebody is at it. */
export async function onShelf(): Promise<ShelfRecord[]> {
  const shelf = await Shelf.find();
  if (!shelf) return [];
  const { files, strays } = await shelf.content();
  if (strays.length > 0) await orUndefined(withFreeLock(theShelf, () => shelf.sweep()));
  return files;
}

/** The one of that name, in any case. */
export function called<Named extends { name: string }>(files: readonly Named[], name: string): Named | undefined {
  return files.find((file) => isSameName(file.name, name));
}

/** Whether two names are one to prompts. */
export function isSameName(one: string, other: string): boolean {
  return plain(one) === plain(other);
}

/** A text as names are looked for in it. */
export function plain(text: string): string {
  return text.normalize("NFKC").toLowerCase();
}

const maxName = 128;

/** What prompts cannot have in a name, and what is not seen. */
const impossible = /[<>:/\\\u0000-\u001f\u007f]/g;

/** Whether a file can be called that. */
export function isShelfName(name: unknown): name is string {
  return typeof name === "string" && name === shelfNameOf(name) && name !== "";
}

/** What a file is called that nobody has named: after `file`, without an ending of its kind. */
export function nameOfFile(file: string): string {
  const name = shelfNameOf(file.replace(/\.(safetensors|pt|pth|bin|ckpt)$/i, ""));
  if (name !== "") return name;
  throw new GlassineError("bad_option", `no file of the shelf can be called ${JSON.stringify(file)}`, { hint: "Give a name." });
}

function shelfNameOf(text: string): string {
  return text.normalize("NFC").replace(impossible, "-").trim().slice(0, maxName);
}

const byName = (one: ShelfRecord, other: ShelfRecord): number => (plain(one.name) < plain(other.name) ? -1 : 1);

const recordOf = (sha256: string): string => sha256 + recordEnding;

/** A record with its own hash, by which one that is half written is known. */
async function encodeRecord(record: ShelfRecord): Promise<Uint8Array<ArrayBuffer>> {
  const check = await sha256(new TextEncoder().encode(JSON.stringify(record)));
  return new TextEncoder().encode(JSON.stringify({ record, check }));
}

/** Undefined for what is not as it was written. */
async function parseRecord(bytes: Uint8Array<ArrayBuffer> | undefined): Promise<ShelfRecord | undefined> {
  try {
    const text = new TextDecoder().decode(bytes);
    const { record } = JSON.parse(text) as { record: ShelfRecord };
    const written = new TextDecoder().decode(await encodeRecord(record));
    return written === text ? record : undefined;
  } catch {
    return undefined;
  }
}
