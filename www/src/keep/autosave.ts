// Every change is kept, and the scene that was open is opened again.

import { effect, signal } from "@preact/signals";
import { flatten } from "../compose.ts";
import { type Doc, newDoc, newId } from "../state/document.ts";
import { fit } from "../state/geometry.ts";
import { begin, type History, nearest } from "../state/history.ts";
import { addStored } from "../state/pictures.ts";
import { doc, dragged, history, openDoc, sceneId, sceneName, unnamed } from "../state/studio.ts";
import { note } from "../panels/notices.tsx";
import { deleteScene, dropUnused, loadPictures, loadScene, saveScene, saveThumbnail } from "./store.ts";

export type Kept = "kept" | "keeping" | "not kept";

/** Whether what is seen is stored. */
export const kept = signal<Kept>("kept");

/** Milliseconds after a change at which it is written, and after that at which the thumbnail is. */
const [saveDelay, thumbnailDelay] = [150, 1500];
const thumbnailSide = 320;
/** How many steps can be undone at the next visit: each may need pictures that are in the scene no more. */
const keptSteps = 30;
/** Where the tab, and the browser, remember which scene was open. */
const key = "glassine-scene";

let saveTimer: ReturnType<typeof setTimeout> | undefined;
let thumbnailTimer: ReturnType<typeof setTimeout> | undefined;
/** What is stored, and what of it is open. */
let stored: { id: string; doc: Doc; name: string } | undefined;
let release: (() => void) | undefined;

const { promise: opened, resolve: resolveOpened } = Promise.withResolvers<void>();
/** Settles once there is a scene to put something into. */
export { opened };

/** Opens the scene of the last visit, unless another tab has it; or a new one, where that is wanted or nothing is kept. */
export async function openFirst(isNew: boolean): Promise<void> {
  await (isNew ? openNew() : openLast());
  resolveOpened();
}

async function openLast(): Promise<void> {
  try {
    const id = sessionStorage.getItem(key) ?? localStorage.getItem(key);
    if (!id || !(await openScene(id))) await openNew();
    void dropUnused();
  } catch (error) {
    // A private window, for example: the page works, and forgets.
    console.warn(error);
    await openNew();
  }
}

/** Opens a stored scene. Gives whether it could: not if it is gone, or open in another tab. */
export async function openScene(id: string): Promise<boolean> {
  await save();
  const scene = await loadScene(id);
  if (!scene || !(await take(id))) return false;
  for (const picture of await loadPictures(scene)) addStored(picture);
  const { name, doc: present, past = [], future = [] } = scene;
  show(id, name, { ...begin(present), past, future });
  return true;
}

export async function openNew(next: Doc = newDoc(), name = unnamed): Promise<void> {
  await save();
  const id = newId();
  await take(id);
  show(id, name, begin(next));
  // What came with it is to be kept at once; an empty scene is not worth it.
  if (next.layers.length > 0) {
    stored = undefined;
    await save();
  }
}

function show(id: string, name: string, next: History<Doc>): void {
  stored = { id, doc: next.present, name };
  openDoc(id, name, next);
  try {
    sessionStorage.setItem(key, id);
    localStorage.setItem(key, id);
  } catch {
    // Nothing is remembered where nothing may be stored.
  }
}

/** Has a scene to this tab alone, until it opens another. Gives false if a tab has it already. */
function take(id: string): Promise<boolean> {
  if (id === sceneId.value) return Promise.resolve(true);
  const { promise, resolve } = Promise.withResolvers<boolean>();
  if (!navigator.locks) return Promise.resolve(true);
  navigator.locks
    .request(`${key}-${id}`, { ifAvailable: true }, (lock) => {
      resolve(lock !== null);
      if (!lock) return;
      release?.();
      return new Promise<void>((end) => (release = end));
    })
    .catch(() => resolve(true));
  return promise;
}

/** Removes a scene; one that is open makes room for a new one. */
export async function removeScene(id: string): Promise<void> {
  if (id === sceneId.value) {
    stored = { id, doc: doc.value, name: sceneName.value };
    await openNew();
  }
  await deleteScene(id);
}

/** Writes what is open, if it is not stored as it is. */
export async function save(): Promise<void> {
  clearTimeout(saveTimer);
  const now = { id: sceneId.value, doc: doc.value, name: sceneName.value };
  if (!now.id || (stored?.id === now.id && stored.doc === now.doc && stored.name === now.name)) return;
  const wasKept = kept.value !== "not kept";
  kept.value = "keeping";
  try {
    const { past, future } = nearest(history.value, keptSteps);
    await saveScene({ ...now, past, future, changed: Date.now() });
    stored = now;
    if (sceneId.value === now.id && doc.value === now.doc) kept.value = "kept";
  } catch (error) {
    if (wasKept) {
      note({
        kind: "error",
        title: "The scene could not be stored",
        text: `${String(error)} Free some space under Scenes, or save the scene as a file.`,
      });
    }
    kept.value = "not kept";
  }
}

/** Stores what the scene looks like now. */
export async function keepThumbnail(): Promise<void> {
  clearTimeout(thumbnailTimer);
  const [id, now] = [sceneId.value, doc.value];
  if (now.layers.length > 0) await saveThumbnail(id, await makeThumbnail(now));
}

async function makeThumbnail(next: Doc): Promise<Blob> {
  const flat = await flatten(next);
  const { scale } = fit(next, { x: 0, y: 0, width: thumbnailSide, height: thumbnailSide });
  const factor = Math.min(1, scale);
  const [width, height] = [next.width, next.height].map((side) => Math.max(1, Math.round(side * factor))) as [
    number,
    number,
  ];
  const canvas = new OffscreenCanvas(width, height);
  const bitmap = await createImageBitmap(flat.imageData);
  canvas.getContext("2d")?.drawImage(bitmap, 0, 0, width, height);
  return canvas.convertToBlob();
}

/** Starts keeping every change. */
export function startKeeping(): void {
  effect(() => {
    const changed = doc.value !== stored?.doc || sceneName.value !== stored?.name;
    if (!changed || dragged.value.length > 0 || sceneId.value !== stored?.id) return;
    if (kept.value === "kept") kept.value = "keeping";
    clearTimeout(saveTimer);
    clearTimeout(thumbnailTimer);
    saveTimer = setTimeout(() => void save(), saveDelay);
    thumbnailTimer = setTimeout(() => void keepThumbnail().catch(console.warn), thumbnailDelay);
  });
  document.addEventListener("visibilitychange", () => void save());
  addEventListener("pagehide", () => void save());
}
