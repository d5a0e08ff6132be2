// Putting files on the shelf, and which of them fit a model, in the worker.

import { GlassineError } from "../../public/errors.js";
import { addition_misfit, inspect_addition } from "../../wasm/glassine.js";
import { theShelf, withLock } from "../shared/locks.js";
import type { Calls, RawAddition, StorageTask } from "../shared/protocol.js";
import { called, nameOfFile, onShelf, Shelf, type ShelfRecord } from "../shared/shelf.js";
import { readModelManifest } from "./estimate-model.js";
import { readNamedSlice, readSlice } from "./read-slice.js";
import { yieldToEventLoop } from "./yield-to-event-loop.js";

/** How much of a file is in memory while it is stored. */
const pieceBytes = 4 * 2 ** 20;

/** Puts a file on the shelf, whole or not at all. */
export async function addToShelf({ file, fileName, name }: Calls["shelve"]["request"], task: StorageTask): Promise<ShelfRecord> {
  const found = inspect(file, fileName, task);
  // A request to abort has waited until now.
  await yieldToEventLoop();
  task.signal.throwIfAborted();
  const { kind, description, sha256, hash, triggerWords, baseModel, width } = found;
  const notes = { kind, description, hash, shortHash: hash.slice(0, 12), sha256, triggerWords, baseModel, width };
  const record = { name: name ?? nameOfFile(fileName), file: fileName, bytes: file.size, ...notes };
  const lock = { mode: "exclusive", signal: task.signal, onWait: () => task.report({ phase: "waiting" }) } as const;
  return withLock(theShelf, lock, async () => {
    const shelf = await Shelf.create(fileName);
    await shelf.sweep();
    const { files } = await shelf.content();
    const same = files.find((other) => other.sha256 === sha256);
    if (same) return same;
    const other = called(files, record.name);
    if (other) throw taken(record, other);
    try {
      await shelf.checkRoom(file.size);
      await shelf.writePieces(sha256, file.size, storing(file, fileName, task));
      await shelf.writeRecord(record);
    } catch (error) {
      // What went wrong first is what is told.
      await shelf.takeOff(sha256);
      throw error;
    }
    return record;
  });
}

/** Why files of the shelf do not fit a model, by their hashes. */
export async function findMisfits({ model }: Calls["misfits"]["request"], task: StorageTask): Promise<Record<string, string>> {
  const manifest = await readModelManifest(model, task);
  const shelf = await Shelf.find();
  const misfits: Record<string, string> = {};
  for (const record of await onShelf()) {
    task.signal.throwIfAborted();
    const file = await shelf?.open(record);
    // Somebody has removed it since.
    if (!file) continue;
    const read = (_: number, start: number, end: number): Uint8Array => readSlice(file, start, end);
    const reason = addition_misfit(record.file, file.size, read, manifest);
    if (reason !== undefined) misfits[record.sha256] = reason;
    await yieldToEventLoop();
  }
  return misfits;
}

/** Looks through a file, and tells how far it has got. */
function inspect(file: Blob, fileName: string, { report }: StorageTask): RawAddition {
  const totalBytes = file.size;
  let checkedBytes = 0;
  let unread: unknown;
  const read = (_: number, start: number, end: number): Uint8Array => {
    try {
      const bytes = readNamedSlice(fileName, file, start, end);
      if (end < checkedBytes + pieceBytes && (end < totalBytes || checkedBytes === totalBytes)) return bytes;
      checkedBytes = end;
      report({ phase: "checking", checkedBytes, totalBytes });
      return bytes;
    } catch (error) {
      unread = error;
      throw error;
    }
  };
  try {
    return inspect_addition(fileName, file.size, read);
  } catch (error) {
    // A file that cannot be read is not one that is damaged.
    throw unread ?? error;
  }
}

/** Reads the pieces to be stored, and tells how far that has got. */
function storing(file: Blob, fileName: string, { signal, report }: StorageTask) {
  const totalBytes = file.size;
  return async (at: number): Promise<Uint8Array<ArrayBuffer>> => {
    await yieldToEventLoop();
    signal.throwIfAborted();
    report({ phase: "storing", loadedBytes: at, totalBytes });
    return readNamedSlice(fileName, file, at, Math.min(at + pieceBytes, totalBytes));
  };
}

function taken({ name, file }: ShelfRecord, other: ShelfRecord): GlassineError {
  return new GlassineError("bad_option", `${file} cannot be called "${name}": another file on the shelf is called "${other.name}"`, {
    hint: "Give another name, or remove that one first with models.shelf.remove.",
  });
}
