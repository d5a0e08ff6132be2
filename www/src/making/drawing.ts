// The drawing that the brush is at work on, for a ControlNet to see.

import { batch, computed, effect, signal } from "@preact/signals";
import { settingsOpen } from "../panels/dialogs.ts";
import { emptyMask, type Mask } from "../state/brush.ts";
import type { Size } from "../state/geometry.ts";
import { begin, change, type History, redo, undo } from "../state/history.ts";
import { tool } from "../state/studio.ts";
import { addControl, changeControl, controls } from "./control.ts";

const id = signal<string | undefined>(undefined);

/** What is drawn on, with what can be undone of it. */
export const drawing = computed(() => {
  const control = controls.value.find((control) => control.id === id.value);
  if (tool.value !== "draw" || !control || !("drawing" in control.source)) return undefined;
  return { id: control.id, history: control.source.drawing };
});

/** Has the brush draw something new of a size, or go on with what there is. */
export function startDrawing(what: Size | string): void {
  batch(() => {
    id.value = typeof what === "string" ? what : addControl({ drawing: begin(emptyMask(what)) });
    tool.value = "draw";
    settingsOpen.value = false;
  });
  document.querySelector<HTMLElement>("#stage")?.focus();
}

let wasDrawing = false;
effect(() => {
  const now = tool.value;
  // The settings are where drawing began.
  if (wasDrawing && now === "move") settingsOpen.value = true;
  wasDrawing = now === "draw";
  if (wasDrawing && !drawing.value) tool.value = "move";
});

function redraw(to: (history: History<Mask>) => History<Mask>): void {
  const { value } = drawing;
  if (value) changeControl(value.id, (control) => ({ ...control, source: { drawing: to(value.history) } }));
}

export const setDrawing = (mask: Mask): void => redraw((history) => change(history, mask));
export const clearDrawing = (): void => redraw((history) => change(history, emptyMask(history.present)));
export const undoDrawing = (): void => redraw(undo);
export const redoDrawing = (): void => redraw(redo);
