// The pictures that steer what is made next, and the ControlNets that see them.

import { computed, signal } from "@preact/signals";
import { shelf } from "../models/shelf.ts";
import { measure } from "../state/brush.ts";
import { type Control, type ControlNet, type Source, type Steering, steering } from "../state/controls.ts";
import { find, newId, type PictureNode } from "../state/document.ts";
import { doc, titleOf } from "../state/studio.ts";
import { hasControlNet } from "./foretell.ts";

/** ControlNets that are no more than here, since they could not be stored. */
const visiting = signal<readonly ControlNet[]>([]);

export function addVisiting(file: File): void {
  visiting.value = [...visiting.value, { id: newId(), name: file.name.replace(/\.\w+$/, ""), file }];
}

/** The model's own, the shelf's, and those that are here for this visit. */
export const controlNets = computed((): readonly ControlNet[] => {
  const own = hasControlNet.value ? [{ id: "own", name: "The model's own" }] : [];
  const kept = shelf.value.filter(({ kind }) => kind === "controlnet");
  return [...own, ...kept.map(({ sha256, name, misfit }) => ({ id: sha256, name, file: name, misfit })), ...visiting.value];
});

const all = signal<readonly Control[]>([]);

/** What is chosen, as far as there is a ControlNet for it, and the layer that it is of. */
export const controls = computed((): readonly Steering[] =>
  all.value.flatMap((control) => {
    const isThere = !("layer" in control.source) || layerOf(control.source.layer) !== undefined;
    return isThere ? (steering(control, controlNets.value) ?? []) : [];
  }),
);

/** Of these, the ones that there is something to see of. */
export const active = computed(() => controls.value.filter((control) => !isBlank(control)));

export function isBlank({ source }: Control): boolean {
  return "drawing" in source && measure(source.drawing.present).bounds === undefined;
}

export function layerOf(id: string): PictureNode | undefined {
  const node = find(doc.value, id)?.node;
  return node?.kind === "picture" ? node : undefined;
}

/** What people call a control's picture. */
export function nameOf({ id, source }: Control): string {
  if ("picture" in source) return source.name;
  if ("drawing" in source) {
    const drawings = all.value.filter(({ source }) => "drawing" in source);
    return drawings.length > 1 ? `Drawing ${drawings.findIndex((drawing) => drawing.id === id) + 1}` : "Drawing";
  }
  const node = layerOf(source.layer);
  return node ? titleOf(node) : "of a layer that is gone";
}

/** Adds a picture that steers; gives its id. */
export function addControl(source: Source): string {
  const id = newId();
  all.value = [...all.value, { id, source, scale: 1, start: 0, end: 1 }];
  return id;
}

export function changeControl(id: string, change: (control: Control) => Control): void {
  all.value = all.value.map((control) => (control.id === id ? change(control) : control));
}

export function removeControl(id: string): void {
  all.value = all.value.filter((control) => control.id !== id);
}
