// The browser's shelf: LoRAs, embeddings and ControlNets that are here at every visit.

import { effect, signal } from "@preact/signals";
import { GlassineError } from "glassine";
import { models, type ShelfFile } from "glassine/models";
import { info, modelName } from "../making/model.ts";
import { refresh } from "./work.ts";

/** What is on it, each with why it does not fit the model that is loaded, once that is known. */
export const shelf = signal<readonly ShelfFile[]>([]);

let refreshes = 0;

/** Finds out what is on the shelf. A list that was asked for before another one is not shown after it. */
export async function refreshShelf(): Promise<void> {
  const refresh = ++refreshes;
  const show = (files: readonly ShelfFile[]) => {
    if (refresh === refreshes) shelf.value = files;
  };
  show(await models.shelf.list().catch(() => []));
  if (!info.value || shelf.value.length === 0) return;
  // Without its manifest nobody knows what fits it.
  const fitted = await models.shelf.list({ model: modelName.value }).catch(() => undefined);
  if (fitted) show(fitted);
}

// Another model is fitted by others.
effect(() => void (info.value, refreshShelf()));

/** Puts a file on the shelf, under a name that no other has. */
export async function keep(file: File, signal: AbortSignal): Promise<ShelfFile> {
  try {
    return await models.shelf.add(file, { signal });
  } catch (error) {
    if (!(error instanceof GlassineError) || error.code !== "bad_option") throw error;
    return await models.shelf.add(file, { name: await freeName(file), signal });
  } finally {
    await Promise.all([refreshShelf(), refresh()]);
  }
}

/** Takes a file off the shelf. */
export async function takeOff(name: string, signal: AbortSignal): Promise<void> {
  await models.shelf.remove(name, { signal });
  await Promise.all([refreshShelf(), refresh()]);
}

/** A name for a file whose own is taken, or is none. */
async function freeName({ name }: File): Promise<string> {
  const names = new Set((await models.shelf.list()).map(({ name }) => name.toLowerCase()));
  const stem = name.replace(/\.\w+$/, "").replace(/[<>:/\\]/g, "-").trim().slice(0, 120) || "file";
  let count = 2;
  while (names.has(`${stem}-${count}`.toLowerCase())) count++;
  return `${stem}-${count}`;
}
