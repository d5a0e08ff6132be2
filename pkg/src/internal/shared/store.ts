// Models in the browser's private file system (OPFS). Each is a folder of
//
//   model.json       the record: where the model came from, and which manifest is its own
//   model.json.copy  the record once more, which is written first
//   packing.json     while files are packed: what was here before
//   <sha256>         the manifest and the shards, each named by its content
//
// A model exists once its record names a manifest, which is written last. Until
// then the folder is an interrupted import, and what it holds is used by the
// next one. Because files are named by their content, and a record is written
// beside the one before first, a model can be replaced while the one before is
// still whole, and a half-written file gives itself away.

import { GlassineError } from "../../public/errors.js";
import type { StoredModel } from "../../public/types.js";
import { createFolder, findFolder, Folder, orUndefined, writeError } from "./folder.js";
import { sha256 } from "./sha256.js";

/** What a model's folder says about itself. */
export interface ModelRecord {
  /** The URL of the pack's folder; not there if the pack was made of files. */
  readonly origin?: string | undefined;
  /** The SHA-256 of the manifest; null until the import is complete. */
  readonly manifest: string | null;
}

/** The record of a model that is complete. */
export type CompleteRecord = ModelRecord & { readonly manifest: string };

const recordFile = "model.json";
const recordCopyFile = "model.json.copy";
const packingFile = "packing.json";

/** What to do where there is no more room. */
const fullHint = "Remove other models or free space on the disk, then import again: it goes on where it stopped.";

/** Whether a model can be stored under this name. The package's own model has its name to itself. */
export function isModelName(name: string): boolean {
  return /^[a-z\d][\w.-]{0,63}$/i.test(name) && name !== "mini";
}

/** The name under which a pack is stored that calls itself `title`, if that can be made a name at all. */
export function modelNameOf(title: string): string {
  return title.replace(/[^\w.-]+/g, "-").replace(/^[^a-z\d]+/i, "").slice(0, 64);
}

/** The name under which the pack is stored that calls itself `title`. */
export function packNameOf(title: string): string {
  const name = modelNameOf(title);
  if (isModelName(name)) return name;
  throw new GlassineError("bad_option", `the pack calls itself "${title}", and no stored model can be called that`, {
    hint: "Give a name of letters, digits, dots and hyphens.",
  });
}

/** The folder of one model. Writing works in workers only. */
export class ModelFolder extends Folder {
  private constructor(name: string, handle: FileSystemDirectoryHandle) {
    super(name, handle, fullHint);
  }

  /** The folder of that name, if there is one. */
  static async find(name: string): Promise<ModelFolder | undefined> {
    if (!isModelName(name)) return undefined;
    const models = await findFolder("models");
    const folder = await orUndefined(models?.getDirectoryHandle(name));
    return folder && new ModelFolder(name, folder);
  }

  /** The folder of that name, made if there is none. */
  static async create(name: string): Promise<ModelFolder> {
    const models = await createFolder("models", name, fullHint);
    try {
      return new ModelFolder(name, await models.getDirectoryHandle(name, { create: true }));
    } catch (cause) {
      throw writeError(name, 0, cause, fullHint);
    }
  }

  /** Every folder, by name. */
  static async all(): Promise<ModelFolder[]> {
    const folders: ModelFolder[] = [];
    for await (const [name, handle] of (await findFolder("models")) ?? []) {
      if (handle.kind === "directory") folders.push(new ModelFolder(name, handle));
    }
    return folders.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Removes the folder of that name with everything in it. */
  static async remove(name: string): Promise<void> {
    await (await findFolder("models"))?.removeEntry(name, { recursive: true });
  }

  /** The record; undefined where there is none that can be read, as after an import that hardly began. */
  async record(): Promise<ModelRecord | undefined> {
    // The copy is the newer one, where the two differ.
    const found = [await this.#parseRecord(recordCopyFile), await this.#parseRecord(recordFile)];
    return (found.find((parsed) => parsed?.verified) ?? found.find((parsed) => parsed))?.record;
  }

  /**
   * Puts a record in force: at every moment either this one or the one before is there, whole. Mends what is there of
   * it already.
   */
  async writeRecord(record: ModelRecord): Promise<void> {
    // While one of the two is written, the other is whole.
    const before = await this.#parseRecord(recordCopyFile);
    if (before?.verified) await this.#replace(recordFile, await encodeRecord(before.record));
    const bytes = await encodeRecord(record);
    await this.#replace(recordCopyFile, bytes);
    await this.#replace(recordFile, bytes);
  }

  /** Notes what is here, for the case that the packing of files that begins now is cut off. */
  async beginPacking(): Promise<void> {
    const before = [...(await this.sizes()).keys()];
    await this.write(packingFile, new TextEncoder().encode(JSON.stringify(before)));
  }

  /**
   * Removes what a packing has left whose worker or page has ended in the middle of it: nothing can go on with that. To
   * be called with the model's lock. Works in pages, too.
   */
  async undoPacking(): Promise<void> {
    const note = await this.read(packingFile);
    if (!note) return;
    const before = parseList(note);
    const record = await this.record();
    // The model that was packed may have come into force before the end.
    const done = isComplete(record) && !before.includes(record.manifest);
    if (!done && before.length === 0) return ModelFolder.remove(this.name);
    if (!done) await this.removeOthers(new Set([...before, packingFile]));
    await this.remove(packingFile);
  }

  /** The record in one of its two files, and whether it is as it was written. */
  async #parseRecord(file: string): Promise<ParsedRecord | undefined> {
    const bytes = await this.read(file);
    return bytes && parseRecord(bytes);
  }

  /** Writes a file, unless it is like that. */
  async #replace(file: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    const before = await this.read(file);
    const same = before?.length === bytes.length && before.every((byte, index) => byte === bytes[index]);
    if (!same) await this.write(file, bytes);
  }

  /** The model, or what there is of it, as pages are told of it. */
  async describe(): Promise<StoredModel> {
    const [record, sizes] = [await this.record(), await this.sizes()];
    return {
      name: this.name,
      bytes: [...sizes.values()].reduce((sum, bytes) => sum + bytes, 0),
      builtIn: false,
      complete: isComplete(record),
      origin: record?.origin,
    };
  }

  /** Removes the files that neither are the record nor among `wanted`. */
  async removeOthers(wanted: ReadonlySet<string>): Promise<void> {
    const kept = new Set([recordFile, recordCopyFile, ...wanted]);
    for (const file of (await this.sizes()).keys()) {
      if (!kept.has(file)) await this.remove(file);
    }
  }
}

/** A model that is completely stored. Rejects where there is none of that name. */
export async function findStored(name: string): Promise<{ folder: ModelFolder; record: CompleteRecord }> {
  const folder = await ModelFolder.find(name);
  const record = await folder?.record();
  if (folder && isComplete(record)) return { folder, record };
  throw new GlassineError(
    "model_not_found",
    folder ? `the model "${name}" is not completely stored` : `no model is stored as "${name}"`,
    { hint: `${folder ? "Import it again: it goes on where it stopped" : "Import it first"}, with models.import.` },
  );
}

/** The name of a complete model that came from this URL: that one, if a name is given. */
export async function findByOrigin(origin: string, name?: string): Promise<string | undefined> {
  for (const folder of await ModelFolder.all()) {
    const record = await folder.record();
    if (record?.origin === origin && isComplete(record) && (name === undefined || name === folder.name)) return folder.name;
  }
  return undefined;
}

interface ParsedRecord {
  readonly record: ModelRecord;
  readonly verified: boolean;
}

/** A record with its own hash, by which damage to it is known. */
async function encodeRecord({ origin, manifest }: ModelRecord): Promise<Uint8Array<ArrayBuffer>> {
  const check = await sha256(new TextEncoder().encode(JSON.stringify({ origin, manifest })));
  return new TextEncoder().encode(JSON.stringify({ origin, manifest, check }));
}

/** Undefined for what is not like any record. */
async function parseRecord(bytes: Uint8Array<ArrayBuffer>): Promise<ParsedRecord | undefined> {
  try {
    const record = JSON.parse(new TextDecoder().decode(bytes)) as ModelRecord | null;
    if (typeof record !== "object" || record === null) return undefined;
    const { origin, manifest } = record;
    const written = new TextDecoder().decode(await encodeRecord({ origin, manifest }));
    return { record: { origin, manifest }, verified: written === new TextDecoder().decode(bytes) };
  } catch {
    return undefined;
  }
}

/** The names in a note; none where it was cut off itself, before anything was stored. */
function parseList(bytes: Uint8Array<ArrayBuffer>): string[] {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return [];
  }
}

/** Whether the import that began this record has come to its end. */
export function isComplete(record: ModelRecord | undefined): record is CompleteRecord {
  return /^[0-9a-f]{64}$/.test(String(record?.manifest));
}

