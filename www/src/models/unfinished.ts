// A packing that is under way, noted so that one whose page was closed can be started again. The package keeps nothing
// of a packing that was cut off: what takes the time is reading and quantizing, not writing, so that there is little to
// go on with. What is worth keeping is what was chosen.

import { signal } from "@preact/signals";
import { type DBSchema, type IDBPDatabase, openDB } from "idb";
import { type Choice, type PackSettings, pathOf } from "./choices.ts";

/** What was chosen of one file or folder. */
type NotedChoice = Pick<Choice, "name" | "path" | "role" | "strength" | "isFolder">;

/** A packing that is under way, or was when its page was closed. */
export interface Packing {
  readonly choices: readonly NotedChoice[];
  readonly settings: PackSettings;
  /** What leads to the files again; empty where the browser gives nothing of the kind, or not for all. */
  readonly handles: readonly FileSystemHandle[];
}

interface Schema extends DBSchema {
  packings: { key: number; value: Packing };
}

let opened: Promise<IDBPDatabase<Schema>> | undefined;

function database(): Promise<IDBPDatabase<Schema>> {
  return (opened ??= openDB<Schema>("glassine-packing", 1, {
    upgrade: (database) => void database.createObjectStore("packings", { autoIncrement: true }),
    terminated: () => (opened = undefined),
  }));
}

/** The packing that was cut off, if there was one. */
export const unfinished = signal<Packing | undefined>(undefined);

const lock = "glassine-packing";

/** Notes a packing for as long as it takes. What cannot be noted is packed all the same. */
export async function noted<T>(
  choices: readonly Choice[],
  settings: PackSettings,
  handles: ReadonlyMap<string, FileSystemHandle>,
  work: () => Promise<T>,
): Promise<T> {
  const used = choices.filter(({ role }) => role !== "unused");
  const roots = new Set(used.map(rootOf));
  const lasting = [...roots].flatMap((root) => handles.get(root) ?? []);
  const note: Packing = {
    choices: used.map(({ name, path, role, strength, isFolder }) => ({ name, path, role, strength, isFolder })),
    settings,
    handles: lasting.length === roots.size ? lasting : [],
  };
  return withLock(async () => {
    const key = await add(note).catch(console.warn);
    try {
      return await work();
    } finally {
      if (key !== undefined) await (await database()).delete("packings", key).catch(console.warn);
    }
  });
}

/** What of a choice lies in no folder: the file, or the folder that was given. */
function rootOf({ path, files: [file] }: Choice): string {
  return (path || (file ? pathOf(file) : "")).split("/")[0] ?? "";
}

/** The lock tells other tabs, and visits to come, whether notes are of packings that go on. */
async function withLock<T>(work: () => Promise<T>): Promise<T> {
  return navigator.locks ? (navigator.locks.request(lock, { mode: "shared" }, work) as Promise<T>) : work();
}

/** Finds out whether a packing was cut off: there is a note of it, and no tab is packing. */
export async function findUnfinished(): Promise<void> {
  const find = async (lock: unknown): Promise<Packing | undefined> =>
    lock ? (await (await database()).getAll("packings")).at(-1) : undefined;
  try {
    unfinished.value = await (navigator.locks?.request(lock, { ifAvailable: true }, find) ?? find(true));
  } catch (error) {
    // A private window, for example, remembers nothing.
    console.warn(error);
  }
}

/** Drops what was noted of packings that were cut off. */
export async function forget(): Promise<void> {
  unfinished.value = undefined;
  await (await database()).clear("packings");
}

async function add(note: Packing): Promise<number> {
  return (await database()).add("packings", note);
}

/** The choices, each as it was noted: what it is, and how much of it is merged. */
export function asNoted(choices: readonly Choice[], { choices: noted }: Packing): Choice[] {
  return choices.map((choice) => {
    const before = noted.find(({ path, name }) => path === choice.path && name === choice.name);
    return before ? { ...choice, role: before.role, strength: before.strength } : { ...choice, role: "unused" };
  });
}

/** The names of what was noted and is not among the choices. */
export function lacking(choices: readonly Choice[], { choices: noted }: Packing): string[] {
  return noted.filter(({ path, name }) => !choices.some((choice) => choice.path === path && choice.name === name)).map(({ name }) => name);
}
