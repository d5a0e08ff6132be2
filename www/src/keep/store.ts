// The scenes in the browser's storage: each with what it looks like, and the pictures of all of them.

import { type DBSchema, type IDBPDatabase, openDB } from "idb";
import { type Doc, picturesOf } from "../state/document.ts";
import { allCome, pictureOf, type StoredPicture } from "../state/pictures.ts";

export interface StoredScene {
  readonly id: string;
  readonly name: string;
  readonly doc: Doc;
  /** What can be undone, the last step at the end. */
  readonly past?: readonly Doc[] | undefined;
  /** What can be done again, the next step first. */
  readonly future?: readonly Doc[] | undefined;
  /** When it was changed, in milliseconds since 1970. */
  readonly changed: number;
  /** A small picture of it. */
  readonly thumbnail?: Blob | undefined;
}

interface Schema extends DBSchema {
  scenes: { key: string; value: StoredScene };
  pictures: { key: string; value: StoredPicture };
}

let opened: Promise<IDBPDatabase<Schema>> | undefined;

function database(): Promise<IDBPDatabase<Schema>> {
  return (opened ??= openDB<Schema>("glassine-studio", 1, {
    upgrade(database) {
      database.createObjectStore("scenes", { keyPath: "id" });
      database.createObjectStore("pictures", { keyPath: "id" });
    },
    terminated: () => (opened = undefined),
  }));
}

/** All the pictures that are kept for a scene. */
function picturesFor({ doc, past = [], future = [] }: Pick<StoredScene, "doc" | "past" | "future">): Set<string> {
  return picturesOf(doc, ...past, ...future);
}

/** Writes a scene and those of its pictures that are not there, all or nothing. Its thumbnail stays. */
export async function saveScene(scene: Omit<StoredScene, "thumbnail">): Promise<void> {
  await allCome();
  const transaction = (await database()).transaction(["scenes", "pictures"], "readwrite");
  const [scenes, pictures] = [transaction.objectStore("scenes"), transaction.objectStore("pictures")];
  const kept = new Set(await pictures.getAllKeys());
  const missing = [...picturesFor(scene)].flatMap((id) => (kept.has(id) ? [] : (pictureOf(id) ?? [])));
  const before = await scenes.get(scene.id);
  const all = { ...scene, thumbnail: before?.thumbnail };
  const plain = missing.map(({ id, blob, width, height }) => ({ id, blob, width, height }));
  await Promise.all([...plain.map((picture) => pictures.put(picture)), scenes.put(all), transaction.done]);
}

/** Writes what a scene looks like beside it, if it is there. */
export async function saveThumbnail(id: string, thumbnail: Blob): Promise<void> {
  const transaction = (await database()).transaction("scenes", "readwrite");
  const scene = await transaction.store.get(id);
  if (scene) await transaction.store.put({ ...scene, thumbnail });
  await transaction.done;
}

/** The scenes, the one that was changed last first. */
export async function listScenes(): Promise<StoredScene[]> {
  const scenes = await (await database()).getAll("scenes");
  return scenes.sort((a, b) => b.changed - a.changed);
}

export async function loadScene(id: string): Promise<StoredScene | undefined> {
  return (await database()).get("scenes", id);
}

export async function loadPictures(scene: StoredScene): Promise<StoredPicture[]> {
  const transaction = (await database()).transaction("pictures");
  const found = await Promise.all([...picturesFor(scene)].map((id) => transaction.store.get(id)));
  return found.flatMap((picture) => picture ?? []);
}

export async function deleteScene(id: string): Promise<void> {
  await (await database()).delete("scenes", id);
  await dropUnused();
}

/** Removes the pictures that no scene has any more. */
export async function dropUnused(): Promise<void> {
  const transaction = (await database()).transaction(["scenes", "pictures"], "readwrite");
  const [scenes, pictures] = [transaction.objectStore("scenes"), transaction.objectStore("pictures")];
  const used = new Set((await scenes.getAll()).flatMap((scene) => [...picturesFor(scene)]));
  const unused = (await pictures.getAllKeys()).filter((id) => !used.has(id));
  await Promise.all([...unused.map((id) => pictures.delete(id)), transaction.done]);
}

/** The bytes of a scene's pictures, by its id. Those that several scenes have count in each. */
export async function sizes(): Promise<Map<string, number>> {
  const [scenes, pictures] = await Promise.all([listScenes(), (await database()).getAll("pictures")]);
  const bytes = new Map(pictures.map(({ id, blob }) => [id, blob.size]));
  return new Map(
    scenes.map((scene) => [
      scene.id,
      [...picturesFor(scene)].reduce((sum, key) => sum + (bytes.get(key) ?? 0), 0),
    ]),
  );
}
