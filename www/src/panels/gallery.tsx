// The scenes that the browser keeps, with the room that they take.

import { signal, useSignalEffect } from "@preact/signals";
import { models } from "glassine/models";
import { keepThumbnail, openNew, openScene, removeScene, save } from "../keep/autosave.ts";
import { listScenes, sizes, type StoredScene } from "../keep/store.ts";
import { megabytes } from "../megabytes.ts";
import { sceneId, titleOf, unnamed } from "../state/studio.ts";
import { Dialog } from "./dialog.tsx";
import { dialog } from "./dialogs.ts";
import { Icon } from "./icons.tsx";
import { fail, note } from "./notices.tsx";

interface Entry extends StoredScene {
  readonly bytes: number;
  readonly url: string | undefined;
}

const entries = signal<readonly Entry[] | undefined>(undefined);
const storage = signal("");

async function refresh(): Promise<void> {
  const [scenes, bytes] = await Promise.all([listScenes(), sizes()]);
  for (const { url } of entries.value ?? []) if (url) URL.revokeObjectURL(url);
  entries.value = scenes.map((scene) => ({
    ...scene,
    bytes: bytes.get(scene.id) ?? 0,
    url: scene.thumbnail && URL.createObjectURL(scene.thumbnail),
  }));
  const { usage, quota, persisted } = await models.estimate();
  storage.value = `This page stores ${megabytes(usage)} of ${megabytes(quota)} MB, models and scenes together. The browser ${persisted ? "keeps that" : "may remove that when the disk is full"}.`;
}

/** Lists the scenes as they are now, the open one included. */
async function show(): Promise<void> {
  // Not at once, or the list would be made anew with every change of the scene.
  await Promise.resolve();
  // Asked for here, where it is about that: some browsers ask the visitor in turn.
  navigator.storage?.persist?.().then((granted) => (granted ? refresh() : undefined), console.warn);
  try {
    await save();
    await keepThumbnail();
  } catch (error) {
    // The list is of use without it.
    console.warn(error);
  }
  await refresh().catch(fail);
}

export function Gallery() {
  useSignalEffect(() => {
    if (dialog.value !== "gallery") return;
    void show();
  });
  return (
    <Dialog name="gallery" title="Scenes">
      <p class="hint">Every change is kept in this browser. Nothing leaves your device.</p>
      <ul class="gallery">
        <li>
          <button type="button" class="card new" onClick={() => leave(openNew())}>
            <Icon name="plus" /> New scene
          </button>
        </li>
        {entries.value?.map((entry) => (
          <Card key={entry.id} entry={entry} />
        ))}
      </ul>
      <p class="hint" id="scene-storage">
        {storage.value}
      </p>
    </Dialog>
  );
}

function Card({ entry: { id, name, changed, url, doc, bytes } }: { entry: Entry }) {
  const isOpen = id === sceneId.value;
  // Those that have no name yet are told apart by what is on top.
  const [top] = doc.layers.toReversed();
  const title = name === unnamed && top ? titleOf(top) : name;
  return (
    <li>
      <button type="button" class="card" aria-current={isOpen} onClick={() => void open(id)}>
        <span class="picture checker">{url && <img src={url} alt="" />}</span>
        <b>{title}</b>
        <small>{`${doc.width} × ${doc.height}, ${megabytes(bytes)} MB, ${new Date(changed).toLocaleDateString()}`}</small>
      </button>
      <button
        type="button"
        class="ghost"
        aria-label={`Delete the scene ${title}`}
        title="Delete"
        onClick={() => void removeAsked(id, title)}
      >
        <Icon name="trash" />
      </button>
    </li>
  );
}

async function open(id: string): Promise<void> {
  if (id === sceneId.value) return leave(Promise.resolve());
  await leave(
    openScene(id).then((opened) => {
      if (!opened)
        note({
          kind: "error",
          title: "This scene is open in another tab",
          text: "Go on there, or close that tab first.",
        });
    }),
  );
}

async function leave(opening: Promise<void>): Promise<void> {
  await opening.catch(fail);
  dialog.value = undefined;
}

async function removeAsked(id: string, name: string): Promise<void> {
  if (!confirm(`Delete the scene "${name}" for good?`)) return;
  await removeScene(id).then(refresh).catch(fail);
}
