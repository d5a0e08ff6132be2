// The state of the page: the scene with its history, what is selected, and how it is looked at.

import { batch, computed, signal } from "@preact/signals";
import {
  before,
  type Doc,
  find,
  newDoc,
  type Node,
  noSides,
  order,
  outermost,
  type PictureNode,
  type Sides,
  update,
} from "./document.ts";
import { fit, type Guide, type Point, type Rect, type Size } from "./geometry.ts";
import { begin, change, type History, redo, settle, undo } from "./history.ts";

/** The scene that is open. */
export const sceneId = signal("");
/** What a scene is called that nobody has named. */
export const unnamed = "Untitled";
export const sceneName = signal(unnamed);
export const history = signal<History<Doc>>(begin(newDoc()));
export const doc = computed(() => history.value.present);
export const canUndo = computed(() => history.value.past.length > 0);
export const canRedo = computed(() => history.value.future.length > 0);

export const isEmpty = computed(() => doc.value.layers.length === 0);
const [width, height] = [computed(() => doc.value.width), computed(() => doc.value.height)];

/** A list that is the same object as long as it has the same in it, so that what shows it need not be drawn anew. */
function list(make: () => string[]) {
  let last: readonly string[] = [];
  return computed(() => {
    const next = make();
    if (next.length !== last.length || next.some((id, index) => id !== last[index])) last = next;
    return last;
  });
}

const wanted = signal<readonly string[]>([]);
/** The ids of the selected layers, lowest first. What undo has taken away is not among them. */
export const selection = list(() => order(doc.value, wanted.value));
export const selected = computed(() => selection.value.flatMap((id) => find(doc.value, id)?.node ?? []));
/** The only selected layer, if it has a picture. */
export const selectedPicture = computed((): PictureNode | undefined => {
  const [node, ...others] = selected.value;
  return node?.kind === "picture" && others.length === 0 ? node : undefined;
});
/** Those that can be changed by hand. */
export const movable = list(() =>
  outermost(doc.value, selection.value).filter((id) => {
    const found = find(doc.value, id);
    return found && ![...found.parents, found.node].some(({ locked }) => locked);
  }),
);

/** The only selected layer, if it has a picture and can be changed by hand. */
export const freePicture = computed(() => {
  const node = selectedPicture.value;
  return node && movable.value.includes(node.id) ? node : undefined;
});

export function select(ids: readonly string[]): void {
  wanted.value = ids;
}

/** Changes the scene, as one step to undo; changes with the same key in a row are one step. */
export function edit(next: Doc | ((doc: Doc) => Doc), key?: string): void {
  history.value = change(history.value, typeof next === "function" ? next(doc.value) : next, key);
}

/** Ends a step that several changes went into. */
export function endStep(): void {
  history.value = settle(history.value);
}

export function undoStep(): void {
  history.value = undo(history.value);
}

export function redoStep(): void {
  history.value = redo(history.value);
}

/** Shows another scene, with what can be undone of it. */
export function openDoc(id: string, name: string, next: History<Doc>): void {
  batch(() => {
    sceneId.value = id;
    sceneName.value = name;
    history.value = next;
    wanted.value = [];
    box.value = undefined;
    margins.value = noSides;
    fitted.value = true;
  });
}

// How it is looked at

export type Tool = "move" | "hand" | "box" | "loupe" | "mask" | "draw" | "extend";
export type Channels = "rgba" | "rgb" | "alpha";

export const tool = signal<Tool>("move");
/** `checker`, or a colour. */
export const paper = signal("checker");
export const channels = signal<Channels>("rgba");
export const crisp = signal(false);
/** The room that the canvas has on the screen. */
export const viewport = signal<Size>({ width: 0, height: 0 });
/** What covers the viewport's lower edge, in pixels. */
export const covered = signal(0);
/** Whether the scene keeps filling the viewport. */
export const fitted = signal(true);
const moved = signal({ x: 0, y: 0, zoom: 1 });
/** Where the scene's top left corner is in the viewport, and how many of the screen's pixels one of its pixels is. */
export const camera = computed(() =>
  fitted.value ? fitCamera({ width: width.value, height: height.value }, viewport.value, covered.value) : moved.value,
);
/** Where the next picture is to be made; everywhere if undefined. */
export const box = signal<Rect | undefined>(undefined);
/** By how much the selected layer is to grow, in its own pixels. */
export const margins = signal<Sides>(noSides);
/** Whether the selected layer is shown as it was before it was changed. */
export const comparing = signal(false);
/** The scene as it is shown. */
export const shown = computed(() => {
  const id = comparing.value ? selectedPicture.value?.id : undefined;
  const toBefore = (node: Node): Node => (node.kind === "picture" ? before(node) : node);
  return id === undefined ? doc.value : update(doc.value, [id], toBefore);
});
/** What is drawn while something is dragged. */
export const guides = signal<readonly Guide[]>([]);
export const marquee = signal<Rect | undefined>(undefined);
/** The layers that are being dragged. */
export const dragged = signal<readonly string[]>([]);

const zoomRange = [0.02, 64] as const;

function fitCamera(size: Size, room: Size, below: number) {
  const margin = Math.min(56, room.width * 0.06);
  const space = {
    x: margin,
    y: margin,
    width: Math.max(1, room.width - 2 * margin),
    height: Math.max(1, room.height - 2 * margin - below),
  };
  const { scale: zoom } = fit(size, space);
  return {
    x: Math.round(space.x + (space.width - size.width * zoom) / 2),
    y: Math.round(space.y + (space.height - size.height * zoom) / 2),
    zoom,
  };
}

/** Zooms, with a point of the viewport staying where it is: its middle if none is given. */
export function zoomTo(
  zoom: number,
  around: Point = { x: viewport.value.width / 2, y: (viewport.value.height - covered.value) / 2 },
): void {
  const before = camera.value;
  const next = Math.min(zoomRange[1], Math.max(zoomRange[0], zoom));
  const factor = next / before.zoom;
  look({ zoom: next, x: around.x - (around.x - before.x) * factor, y: around.y - (around.y - before.y) * factor });
}

export function panBy(x: number, y: number): void {
  const before = camera.value;
  look({ ...before, x: before.x + x, y: before.y + y });
}

/** On whole pixels of the screen, so that at a zoom of 1 each of the scene's is one of them. */
function look({ x, y, zoom }: { x: number; y: number; zoom: number }): void {
  moved.value = { x: Math.round(x), y: Math.round(y), zoom };
  fitted.value = false;
}

/** A point of the viewport in the scene. */
export function toScene({ x, y }: Point): Point {
  const { x: left, y: top, zoom } = camera.value;
  return { x: (x - left) / zoom, y: (y - top) / zoom };
}

/** What people call a layer. */
export function titleOf(node: Node): string {
  return node.name || (node.kind === "group" ? "Group" : (node.role ?? "Layer"));
}
