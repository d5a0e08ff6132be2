// What pointers do on the canvas: select, move, scale, turn, look around. Keys are in commands.ts.

import { Gesture } from "@use-gesture/vanilla";
import { batch } from "@preact/signals";
import {
  about,
  angleOf,
  apply,
  between,
  boundsOf,
  centreOf,
  distance,
  type Guide,
  invert,
  type Matrix,
  overlap,
  type Point,
  type Rect,
  rotation,
  scaling,
  snapMove,
  snapScale,
  translation,
} from "../state/geometry.ts";
import {
  boundsOfLayers,
  type Doc,
  find,
  newId,
  outline,
  placeAs,
  type Sides,
  transform,
  worldMatrix,
} from "../state/document.ts";
import {
  box,
  camera,
  doc,
  dragged,
  edit,
  endStep,
  freePicture,
  guides,
  margins,
  marquee,
  movable,
  panBy,
  select,
  selection,
  tool,
  toScene,
  zoomTo,
} from "../state/studio.ts";
import { eraserButton, paint } from "./brush.ts";
import { layersAt, topmostAt } from "./hit.ts";

/** How near on the screen something has to be to be snapped to, in pixels, and how near a turn, in degrees. */
const [reach, turnReach, turnStep] = [7, 2, 15];

/** A drag at work: what it makes of a movement, what it does at its end, and where it turns out to be none. */
interface Drag {
  move(at: Point, event: PointerEvent): void;
  end?(): void;
  cancel?(): void;
}

/** Whether the space key is held, with which everything pans. */
export const holding = { space: false };

/** Has the canvas follow pointers; gives what ends that. */
export function follow(element: HTMLElement): () => void {
  let drag: Drag | undefined;
  const pointOf = ([x, y]: readonly [number, number]): Point => {
    const { left, top } = element.getBoundingClientRect();
    return { x: x - left, y: y - top };
  };
  const gesture = new Gesture(
    element,
    {
      onDrag({ first, last, tap, xy, initial, delta, event, touches, pinching, cancel }) {
        if (tap) return click(event.target as Element, toScene(pointOf(xy)), event as PointerEvent);
        if (pinching || touches > 1) {
          if (drag?.cancel) drag.cancel();
          else drag?.end?.();
          drag = undefined;
          return cancel();
        }
        if (first) drag = begin(event.target as Element, toScene(pointOf(initial)), event as PointerEvent);
        if (drag === panning) panBy(delta[0], delta[1]);
        else drag?.move(toScene(pointOf(xy)), event as PointerEvent);
        if (!last) return;
        drag?.end?.();
        drag = undefined;
      },
      onPinch({ origin, first, last, movement: [scale], memo, event }) {
        // The end of a wheel's is a while after it, and says nothing new.
        if (last) return memo;
        event.preventDefault();
        const at = pointOf(origin);
        const before = first || !memo ? { zoom: camera.value.zoom, at } : (memo as { zoom: number; at: Point });
        batch(() => {
          zoomTo(before.zoom * scale, at);
          panBy(at.x - before.at.x, at.y - before.at.y);
        });
        return { zoom: before.zoom, at };
      },
      onWheel({ delta: [x, y], ctrlKey, event }) {
        if (ctrlKey) return;
        event.preventDefault();
        panBy(-x, -y);
      },
    },
    {
      eventOptions: { passive: false },
      drag: { filterTaps: true, tapsThreshold: 3, pointer: { buttons: [1, 4, eraserButton], keys: false } },
      pinch: { scaleBounds: { min: 0.01, max: 100 }, rubberband: false },
    },
  );
  return () => gesture.destroy();
}

const panning: Drag = { move: () => {} };

function begin(target: Element, at: Point, event: PointerEvent): Drag | undefined {
  if (event.buttons === 4 || holding.space || tool.value === "hand") return panning;
  if (tool.value === "loupe") return undefined;
  if (tool.value === "box") return drawBox(at);
  if (tool.value === "draw") return paint(at, event);
  if (tool.value === "mask") return freePicture.value ? paint(at, event) : takePicture(at);
  if (tool.value === "extend") {
    const side = target.closest<HTMLElement>("[data-side]")?.dataset["side"];
    return side === undefined ? takePicture(at) : pull(side as keyof Sides);
  }
  const handle = target.closest<HTMLElement>("[data-handle]")?.dataset["handle"];
  if (handle === "rotate") return turn(at);
  if (handle !== undefined) return scale(Number(handle));
  const hit = topmostAt(at);
  const inside = isOnSelection(at);
  if (!inside && hit === undefined) return drawMarquee(at, event.shiftKey);
  // What is selected can be dragged from wherever it is, also from under others.
  if (!inside && hit !== undefined && !selection.value.includes(hit))
    select(event.shiftKey ? [...selection.value, hit] : [hit]);
  return movable.value.length > 0 ? moveLayers(at) : panning;
}

/** Whether something that is selected is at a point. */
function isOnSelection(at: Point): boolean {
  const hits = layersAt(at);
  return hits.some(({ id, parents }) => [id, ...parents].some((each) => selection.value.includes(each)));
}

/** Milliseconds between two clicks of a double click, which takes a layer of a group. */
const doubleTime = 400;
let lastClick = 0;

function click(target: Element, at: Point, event: PointerEvent): void {
  const { shiftKey, timeStamp } = event;
  if (["mask", "draw", "extend"].includes(tool.value) && !holding.space) return begin(target, at, event)?.end?.();
  if (tool.value !== "move" || holding.space || target.closest("[data-handle]")) return;
  const isDouble = timeStamp - lastClick < doubleTime;
  lastClick = timeStamp;
  const hit = topmostAt(at, isDouble);
  if (!shiftKey) return select(hit === undefined ? [] : [hit]);
  if (hit !== undefined)
    select(selection.value.includes(hit) ? selection.value.filter((id) => id !== hit) : [...selection.value, hit]);
}

/** Whatever changes the layers that can be moved, from where they are at its start. */
function changing(toMatrix: (at: Point, keys: PointerEvent) => { matrix: Matrix; guides?: readonly Guide[] }): Drag {
  const [start, ids, key] = [doc.value, movable.value, `drag ${newId()}`];
  return {
    move(at, keys) {
      const { matrix, guides: lines = [] } = toMatrix(at, keys);
      batch(() => {
        dragged.value = ids;
        guides.value = lines;
        // A picture may have been made meanwhile: only the places are changed.
        edit((now) => placeAs(now, ids, transform(start, ids, matrix)), key);
      });
    },
    end() {
      batch(() => {
        dragged.value = [];
        guides.value = [];
        endStep();
      });
    },
  };
}

/** What there is to snap to: the scene, and the layers that stay. */
function neighbours(now: Doc, ids: readonly string[]): Rect[] {
  const others = now.layers.filter(
    ({ id, visible }) => visible && !ids.includes(id) && !ids.some((each) => find(now, each)?.parents[0]?.id === id),
  );
  const boxes = others.flatMap(({ id }) => boundsOfLayers(now, [id]) ?? []);
  return [{ x: 0, y: 0, width: now.width, height: now.height }, ...boxes];
}

function moveLayers(from: Point): Drag {
  const [start, ids] = [doc.value, movable.value];
  const around = boundsOfLayers(start, ids);
  const others = neighbours(start, ids);
  return changing((at, { shiftKey, ctrlKey }) => {
    const exact = { x: at.x - from.x, y: at.y - from.y };
    // By whole pixels, so that those of the layer stay on those of the scene.
    const free = ctrlKey ? exact : { x: Math.round(exact.x), y: Math.round(exact.y) };
    const by = !shiftKey ? free : Math.abs(free.x) > Math.abs(free.y) ? { x: free.x, y: 0 } : { x: 0, y: free.y };
    if (!around || ctrlKey) return { matrix: translation(by.x, by.y) };
    const snapped = snapMove({ ...around, x: around.x + by.x, y: around.y + by.y }, others, reach / camera.value.zoom);
    // An axis that is held stays.
    const more = shiftKey ? { x: by.x === 0 ? 0 : snapped.by.x, y: by.y === 0 ? 0 : snapped.by.y } : snapped.by;
    return { matrix: translation(by.x + more.x, by.y + more.y), guides: snapped.guides };
  });
}

/** The corners of what is selected: of its own box if it is one layer, else of the upright one around all. */
export function frame(now: Doc, ids: readonly string[]): Point[] {
  const [id, ...more] = ids;
  if (id !== undefined && more.length === 0) return outline(now, id);
  const around = boundsOfLayers(now, ids);
  if (!around) return [];
  const { x, y, width, height } = around;
  return [
    { x, y },
    { x: x + width, y },
    { x: x + width, y: y + height },
    { x, y: y + height },
  ];
}

function scale(corner: number): Drag | undefined {
  const [start, ids] = [doc.value, movable.value];
  const points = frame(start, ids);
  const [moved, opposite] = [points[corner], points[(corner + 2) % 4]];
  if (!moved || !opposite) return undefined;
  const centre = { x: (moved.x + opposite.x) / 2, y: (moved.y + opposite.y) / 2 };
  const others = neighbours(start, ids);
  const isUpright = Math.abs(points[0]!.y - points[1]!.y) < 0.01 || Math.abs(points[0]!.x - points[1]!.x) < 0.01;
  return changing((at, { altKey, ctrlKey }) => {
    const origin = altKey ? centre : opposite;
    const along = { x: moved.x - origin.x, y: moved.y - origin.y };
    const length = distance(moved, origin);
    // How far the pointer is along the diagonal.
    const free = Math.max(0.01, ((at.x - origin.x) * along.x + (at.y - origin.y) * along.y) / (length * length));
    const snapped =
      isUpright && !ctrlKey
        ? snapScale(moved, origin, free, others, reach / camera.value.zoom)
        : { factor: free, guides: [] };
    return { matrix: about(origin, scaling(snapped.factor)), guides: snapped.guides };
  });
}

function turn(from: Point): Drag | undefined {
  const [start, ids] = [doc.value, movable.value];
  const points = frame(start, ids);
  if (points.length === 0) return undefined;
  const centre = centreOf(boundsOf(points));
  const [id, ...more] = ids;
  const before = id !== undefined && more.length === 0 ? (find(start, id)?.node.rotate ?? 0) : 0;
  return changing((at, { shiftKey, ctrlKey }) => {
    const free = before + angleOf(centre, at) - angleOf(centre, from);
    const quarter = Math.round(free / 90) * 90;
    const stepped = Math.round(free / turnStep) * turnStep;
    const angle = shiftKey ? stepped : !ctrlKey && Math.abs(free - quarter) < turnReach ? quarter : free;
    return { matrix: about(centre, rotation(angle - before)) };
  });
}

/** Takes one picture, of a group too, for what is done to one. */
function takePicture(at: Point): undefined {
  const hit = topmostAt(at, true);
  if (hit !== undefined) select([hit]);
}

/** Pulls a side of the selected layer outwards, where it is to grow. */
function pull(side: keyof Sides): Drag | undefined {
  const node = freePicture.value;
  const found = node && find(doc.value, node.id);
  if (!found) return undefined;
  const toLayer = invert(worldMatrix(doc.value, found));
  return {
    move(at) {
      const { x, y } = apply(toLayer, at);
      const beyond = { left: -x, top: -y, right: x - node.width, bottom: y - node.height }[side];
      margins.value = { ...margins.value, [side]: Math.max(0, Math.round(beyond)) };
    },
  };
}

function drawMarquee(from: Point, adds: boolean): Drag {
  const before = adds ? selection.value : [];
  return {
    move(at) {
      const area = between(from, at);
      const hits = doc.value.layers.filter(({ id, visible, locked }) => {
        const around = visible && !locked ? boundsOfLayers(doc.value, [id]) : undefined;
        return around && overlap(around, area);
      });
      batch(() => {
        marquee.value = area;
        select([...before, ...hits.map(({ id }) => id)]);
      });
    },
    end: () => (marquee.value = undefined),
  };
}

function drawBox(from: Point): Drag {
  const whole = { x: 0, y: 0, width: doc.value.width, height: doc.value.height };
  return {
    move(at, { ctrlKey }) {
      const pull = (point: Point): Point => {
        if (ctrlKey) return point;
        const { by } = snapMove({ ...point, width: 0, height: 0 }, [whole], reach / camera.value.zoom);
        return { x: Math.round(point.x + by.x), y: Math.round(point.y + by.y) };
      };
      box.value = between(pull(from), pull(at));
    },
    end() {
      if (box.value && (box.value.width < 4 || box.value.height < 4)) box.value = undefined;
      tool.value = "move";
      document.querySelector<HTMLElement>("[name=prompt]")?.focus();
    },
  };
}
