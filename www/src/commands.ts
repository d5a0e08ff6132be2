// What can be done to the scene, with the keys for it: for buttons, menus, the keyboard and the list of shortcuts.

import {
  arrange,
  boundsOfLayers,
  copyOf,
  duplicate,
  find,
  group,
  insert,
  newId,
  type Node,
  outermost,
  picturesOf,
  remove,
  type Step,
  transform,
  ungroup,
  update,
} from "./state/document.ts";
import { about, alignment, centreOf, type Edge, scaling, translation } from "./state/geometry.ts";
import { copyPicture, exportScene, pickFiles, takeFiles } from "./files.ts";
import { drawing, redoDrawing, undoDrawing } from "./making/drawing.ts";
import { keepFocus } from "./panels/focus.ts";
import { attempt, note } from "./panels/notices.tsx";
import { pictureOf } from "./state/pictures.ts";
import { erases, invertMask, resizeBrush } from "./canvas/brush.ts";
import { holding } from "./canvas/gestures.ts";
import { dialog, panelOpen } from "./panels/dialogs.ts";
import { renaming } from "./panels/renaming.ts";
import {
  box,
  camera,
  canRedo,
  canUndo,
  comparing,
  doc,
  edit,
  fitted,
  freePicture,
  movable,
  redoStep,
  select,
  selected,
  selectedPicture,
  selection,
  type Tool,
  tool,
  undoStep,
  zoomTo,
} from "./state/studio.ts";

export interface Command {
  readonly title: string;
  /** As `Mod+Shift+Z`, where Mod is Ctrl, or the Mac's Command; the first is the one that is shown. */
  readonly keys: readonly string[];
  readonly section: "Edit" | "Layers" | "View" | "Make";
  readonly enabled?: () => boolean;
  readonly run: () => void;
}

const some = (): boolean => selection.value.length > 0;
const free = (): boolean => movable.value.length > 0;
const masks = (): boolean => tool.value === "mask" && freePicture.value !== undefined;
const paints = (): boolean => masks() || tool.value === "draw";

export const commands = {
  // While one draws, strokes are undone, and else what was done to the scene.
  undo: {
    title: "Undo",
    keys: ["Mod+Z"],
    section: "Edit",
    enabled: () => (drawing.value ? drawing.value.history.past.length > 0 : canUndo.value),
    run: () => (drawing.value ? undoDrawing() : undoStep()),
  },
  redo: {
    title: "Redo",
    keys: ["Mod+Shift+Z", "Mod+Y"],
    section: "Edit",
    enabled: () => (drawing.value ? drawing.value.history.future.length > 0 : canRedo.value),
    run: () => (drawing.value ? redoDrawing() : redoStep()),
  },
  selectAll: {
    title: "Select all",
    keys: ["Mod+A"],
    section: "Edit",
    run: () => select(doc.value.layers.filter(({ locked }) => !locked).map(({ id }) => id)),
  },
  deselect: { title: "Select nothing", keys: ["Escape"], section: "Edit", run: deselect },
  remove: { title: "Delete", keys: ["Delete", "Backspace"], section: "Edit", enabled: free, run: removeSelected },
  duplicate: { title: "Duplicate", keys: ["Mod+D"], section: "Edit", enabled: some, run: duplicateSelected },
  copy: {
    title: "Copy layers",
    keys: ["Mod+C"],
    section: "Edit",
    enabled: some,
    run: () => void document.execCommand("copy"),
  },
  copyPicture: {
    title: "Copy as a picture",
    keys: ["Shift+C"],
    section: "Edit",
    run: () => void attempt("Copying the picture", () => copyPicture(selected.value)),
  },

  front: step("To the front", "front", "Mod+Shift+]"),
  up: step("One up", "up", "Mod+]"),
  down: step("One down", "down", "Mod+["),
  back: step("To the back", "back", "Mod+Shift+["),
  group: { title: "Group", keys: ["Mod+G"], section: "Layers", enabled: some, run: groupSelected },
  ungroup: {
    title: "Ungroup",
    keys: ["Mod+Shift+G"],
    section: "Layers",
    enabled: () => selected.value.some(({ kind }) => kind === "group"),
    run: ungroupSelected,
  },
  flip: { title: "Flip left and right", keys: ["Shift+H"], section: "Layers", enabled: free, run: () => mirror(-1, 1) },
  flipDown: {
    title: "Flip top and bottom",
    keys: ["Shift+V"],
    section: "Layers",
    enabled: free,
    run: () => mirror(1, -1),
  },
  alignLeft: align("Align left", "left"),
  alignCentre: align("Centre left to right", "centre"),
  alignRight: align("Align right", "right"),
  alignTop: align("Align at the top", "top"),
  alignMiddle: align("Centre top to bottom", "middle"),
  alignBottom: align("Align at the bottom", "bottom"),
  hide: { title: "Show or hide", keys: ["Shift+E"], section: "Layers", enabled: some, run: () => toggle("visible") },
  lock: { title: "Lock or unlock", keys: ["Mod+L"], section: "Layers", enabled: some, run: () => toggle("locked") },
  rename: {
    title: "Rename",
    keys: ["F2"],
    section: "Layers",
    enabled: () => selection.value.length === 1,
    run: () => (renaming.value = selection.value[0]),
  },

  zoomIn: { title: "Zoom in", keys: ["+", "="], section: "View", run: () => zoomTo(camera.value.zoom * 1.25) },
  zoomOut: { title: "Zoom out", keys: ["-"], section: "View", run: () => zoomTo(camera.value.zoom / 1.25) },
  actualSize: { title: "One pixel to a pixel", keys: ["1"], section: "View", run: () => zoomTo(1) },
  fit: { title: "Fit the scene", keys: ["0"], section: "View", run: () => (fitted.value = true) },
  moveTool: { title: "Select and move", keys: ["V"], section: "View", run: () => (tool.value = "move") },
  handTool: { title: "Pan (or hold Space)", keys: ["H"], section: "View", run: () => (tool.value = "hand") },
  loupeTool: { title: "Loupe: single pixels", keys: ["L"], section: "View", run: () => (tool.value = "loupe") },
  maskTool: {
    title: "Paint a mask to repaint a part",
    keys: ["M"],
    section: "Make",
    run: () => changeWith("mask"),
  },
  extendTool: {
    title: "Extend a layer on its sides",
    keys: ["X"],
    section: "Make",
    run: () => changeWith("extend"),
  },
  smallerBrush: { title: "Smaller brush", keys: ["["], section: "Make", enabled: paints, run: () => resizeBrush(-1) },
  largerBrush: { title: "Larger brush", keys: ["]"], section: "Make", enabled: paints, run: () => resizeBrush(1) },
  erase: {
    title: "Paint or erase",
    keys: ["E"],
    section: "Make",
    enabled: paints,
    run: () => (erases.value = !erases.value),
  },
  invertMask: { title: "Invert the mask", keys: ["I"], section: "Make", enabled: masks, run: invertMask },
  shortcuts: { title: "All shortcuts", keys: ["?"], section: "View", run: () => (dialog.value = "shortcuts") },

  boxTool: { title: "Draw a box to make something in", keys: ["B"], section: "Make", run: () => (tool.value = "box") },
  boxHere: {
    title: "Make something where the selection is",
    keys: ["Shift+B"],
    section: "Make",
    enabled: some,
    run: boxHere,
  },
  prompt: {
    title: "To the prompt",
    keys: ["/"],
    section: "Make",
    run: () => document.querySelector<HTMLElement>("[name=prompt]")?.focus(),
  },
  generate: {
    title: "Generate",
    keys: ["Mod+Enter"],
    section: "Make",
    run: () => document.querySelector<HTMLFormElement>("#form")?.requestSubmit(),
  },
  open: { title: "Open files", keys: ["Mod+O"], section: "Make", run: pickFiles },
  save: {
    title: "Save as PNG",
    keys: ["Mod+S"],
    section: "Make",
    run: () => void attempt("Writing PNG", (signal) => exportScene("png", signal)),
  },
} as const satisfies Record<string, Command>;

export type CommandName = keyof typeof commands;

function step(title: string, how: Step, key: string): Command {
  return {
    title,
    keys: [key],
    section: "Layers",
    enabled: free,
    run: () => edit((now) => arrange(now, movable.value, how)),
  };
}

/** One layer in the scene, several with each other. */
function align(title: string, edge: Edge): Command {
  const run = (): void => {
    const ids = movable.value;
    const whole = { x: 0, y: 0, width: doc.value.width, height: doc.value.height };
    const target = ids.length > 1 ? boundsOfLayers(doc.value, ids) : whole;
    if (!target) return;
    edit((now) =>
      ids.reduce((next, id) => {
        const around = boundsOfLayers(next, [id]);
        if (!around) return next;
        const { x, y } = alignment(around, target, edge);
        return transform(next, [id], translation(x, y));
      }, now),
    );
  };
  return { title, keys: [], section: "Layers", enabled: free, run };
}

/** Takes up a tool for the selected layer; a panel over the canvas makes room for it. */
function changeWith(which: Tool): void {
  panelOpen.value = false;
  tool.value = which;
}

function deselect(): void {
  if (tool.value !== "move") tool.value = "move";
  else if (selection.value.length > 0) select([]);
  else box.value = undefined;
}

/** As if a box had been drawn around what is selected. */
function boxHere(): void {
  box.value = boundsOfLayers(doc.value, selection.value);
  commands.prompt.run();
}

function removeSelected(): void {
  edit((now) => remove(now, movable.value));
  keepFocus();
}

function duplicateSelected(): void {
  const { doc: next, ids } = duplicate(doc.value, selection.value);
  const shift = Math.max(4, Math.round(Math.min(next.width, next.height) / 40));
  edit(transform(next, ids, translation(shift, shift)));
  select(ids);
}

function groupSelected(): void {
  const id = newId();
  edit((now) => group(now, selection.value, id));
  select([id]);
}

function ungroupSelected(): void {
  const inside = selected.value.flatMap((node) =>
    node.kind === "group" ? node.layers.map(({ id }) => id) : [node.id],
  );
  edit((now) => ungroup(now, selection.value));
  select(inside);
}

function mirror(x: number, y: number): void {
  const around = boundsOfLayers(doc.value, movable.value);
  if (around) edit((now) => transform(now, movable.value, about(centreOf(around), scaling(x, y))));
}

/** All on, unless all are. */
function toggle(field: "visible" | "locked"): void {
  const value = !selected.value.every((node) => node[field]);
  edit((now) => update(now, selection.value, (node) => ({ ...node, [field]: value })));
}

/** Moves what is selected by single pixels, or by ten. */
function nudge(x: number, y: number): void {
  edit((now) => transform(now, movable.value, translation(x, y)), `nudge ${movable.value.join()}`);
}

const arrows: Record<string, readonly [number, number]> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

const isMac = /Mac|iP(hone|ad)/.test(navigator.userAgent);

/** A key as people know it. */
export function keyLabel(key: string): string {
  const parts = key
    .split(/\+(?!$)/)
    .map((part) => (part === "Mod" ? (isMac ? "⌘" : "Ctrl") : part === "Shift" && isMac ? "⇧" : part));
  return parts.join(isMac ? "" : "+");
}

/** A command's name with its key, for a button's tip. */
export function tip(name: CommandName): string {
  const { title, keys }: Command = commands[name];
  const [key] = keys;
  return key === undefined ? title : `${title} (${keyLabel(key)})`;
}

function keyOf({ key, code, ctrlKey, metaKey, shiftKey }: KeyboardEvent): string {
  // Where Shift makes another sign of a key, it is the key that is meant.
  const sign = { BracketLeft: "[", BracketRight: "]" }[code] ?? (key.length === 1 ? key.toUpperCase() : key);
  const isSign = sign.length === 1 && !/[A-Z[\]]/.test(sign);
  return [...(ctrlKey || metaKey ? ["Mod"] : []), ...(shiftKey && !isSign ? ["Shift"] : []), sign].join("+");
}

const byKey = new Map(
  Object.values(commands).flatMap((command: Command) => command.keys.map((key) => [key, command] as const)),
);

/** Whether keys belong to what has the focus: to a field, or an open dialog. */
function isElsewhere(target: EventTarget | null): boolean {
  return (
    target instanceof Element &&
    target.closest(
      "input:not([type=checkbox], [type=radio]), textarea, select, dialog, [contenteditable], #models[open]",
    ) !== null
  );
}

/** Follows the keyboard, the clipboard, and what is dropped on the page. */
export function followKeys(): void {
  addEventListener("keydown", (event) => {
    const name = keyOf(event);
    if (isElsewhere(event.target) || event.altKey) return;
    if (name === " " && !(event.target as Element).closest("button, summary, a")) {
      holding.space = true;
      event.preventDefault();
      return;
    }
    if (name === "C" && selectedPicture.value?.from) return void (comparing.value = true);
    const arrow = arrows[event.key];
    // Arrows are those of radio buttons where such have the focus.
    if (arrow && !event.ctrlKey && !event.metaKey && free() && !(event.target as Element).matches("input")) {
      const far = event.shiftKey ? 10 : 1;
      event.preventDefault();
      return nudge(arrow[0] * far, arrow[1] * far);
    }
    const command = byKey.get(name);
    // The browser copies layers with an event of its own.
    if (!command || command === commands.copy || (command.enabled && !command.enabled())) return;
    event.preventDefault();
    command.run();
  });
  addEventListener("keyup", ({ key }) => {
    if (key === " ") holding.space = false;
    if (key.toUpperCase() === "C") comparing.value = false;
  });
  // What is let go of elsewhere is not heard of here.
  addEventListener("blur", () => {
    holding.space = false;
    comparing.value = false;
  });
  document.addEventListener("copy", (event) => {
    if (isElsewhere(event.target) || !some() || String(getSelection()) !== "") return;
    event.preventDefault();
    const nodes = outermost(doc.value, selection.value).flatMap((id) => find(doc.value, id)?.node ?? []);
    event.clipboardData?.setData(layersType, JSON.stringify(nodes));
  });
  document.addEventListener("paste", (event) => {
    if (isElsewhere(event.target)) return;
    const layers = event.clipboardData?.getData(layersType);
    if (layers) return paste(layers);
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length > 0) void takeFiles(files);
  });
}

const layersType = "application/x-glassine-layers";

/** Puts copies of layers on top; those of another page's scene have no pictures here. */
function paste(json: string): void {
  const nodes = JSON.parse(json) as Node[];
  const needed = picturesOf({ ...doc.value, layers: nodes });
  if (![...needed].every(pictureOf)) {
    note({
      kind: "error",
      title: "These layers are of another tab",
      text: "Copy them there as a picture (Shift+C), and paste that.",
    });
    return;
  }
  const copies = nodes.map(copyOf);
  edit((now) => insert(now, copies));
  select(copies.map(({ id }) => id));
}
