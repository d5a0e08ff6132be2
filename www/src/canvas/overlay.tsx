// What is drawn over the scene, in the screen's own pixels: the frame and the handles, lines that are snapped to, boxes.

import { find, grownSize, type Sides, worldMatrix } from "../state/document.ts";
import { apply, corners as cornersOf, type Point, type Rect } from "../state/geometry.ts";
import {
  box,
  camera,
  doc,
  dragged,
  freePicture,
  guides,
  margins,
  marquee,
  movable,
  selection,
  tool,
  viewport,
} from "../state/studio.ts";
import { frame } from "./gestures.ts";

export function Overlay() {
  const { width, height } = viewport.value;
  return (
    <svg class="overlay" width={width} height={height} aria-hidden="true">
      <Outline />
      {box.value && <Box rect={box.value} name="target" />}
      {marquee.value && <Box rect={marquee.value} name="marquee" />}
      {guides.value.map(({ axis, at }) => (
        <GuideLine key={axis} axis={axis} at={at} />
      ))}
      <Selection />
      <Growth />
    </svg>
  );
}

function onScreen({ x, y }: Point): Point {
  const { x: left, y: top, zoom } = camera.value;
  return { x: left + x * zoom, y: top + y * zoom };
}

/** The scene's edge, just outside of it. */
function Outline() {
  const { x, y, zoom } = camera.value;
  return (
    <rect
      class="edge"
      x={x - 0.5}
      y={y - 0.5}
      width={doc.value.width * zoom + 1}
      height={doc.value.height * zoom + 1}
    />
  );
}

function Box({ rect, name }: { rect: Rect; name: string }) {
  const { x, y } = onScreen(rect);
  const { zoom } = camera.value;
  return <rect class={name} x={x} y={y} width={rect.width * zoom} height={rect.height * zoom} />;
}

function GuideLine({ axis, at }: { axis: "x" | "y"; at: number }) {
  const { x, y } = onScreen({ x: at, y: at });
  const { width, height } = viewport.value;
  return axis === "x" ? (
    <line class="guide" x1={x} x2={x} y1={0} y2={height} />
  ) : (
    <line class="guide" x1={0} x2={width} y1={y} y2={y} />
  );
}

const list = (points: readonly Point[]): string => points.map(({ x, y }) => `${x},${y}`).join(" ");

function Selection() {
  const now = doc.value;
  const ids = selection.value;
  if (ids.length === 0 || tool.value !== "move") return null;
  const free = movable.value;
  const corners = frame(now, free.length > 0 ? free : ids).map(onScreen);
  const [topLeft, topRight, bottomRight] = corners;
  if (!topLeft || !topRight || !bottomRight) return null;
  return (
    <g class={dragged.value.length > 0 ? "selection dragging" : "selection"}>
      {ids.length > 1 &&
        ids.map((id) => <polygon key={id} class="member" points={list(frame(now, [id]).map(onScreen))} />)}
      <polygon class="frame" points={list(corners)} />
      {free.length > 0 && <Turner corners={corners} />}
      {free.length > 0 &&
        corners.map((corner, index) => <Handle key={index} at={corner} name={String(index)} corners={corners} />)}
    </g>
  );
}

/** What the selected layer is to become on its sides, each with a handle. */
function Growth() {
  const node = freePicture.value;
  const found = node && find(doc.value, node.id);
  if (!found || tool.value !== "extend") return null;
  const matrix = worldMatrix(doc.value, found);
  const sides = margins.value;
  const place = { x: -sides.left, y: -sides.top };
  const points = (rect: Rect): Point[] => cornersOf(rect).map((corner) => onScreen(apply(matrix, corner)));
  const now = points({ x: 0, y: 0, width: node.width, height: node.height });
  const then = points({ ...place, ...grownSize(node, sides) });
  return (
    <g>
      <polygon class="frame" points={list(now)} />
      <polygon class="target" points={list(then)} />
      {sideNames.map((side, index) => (
        <SideHandle key={side} side={side} from={then[index]!} to={then[(index + 1) % 4]!} />
      ))}
    </g>
  );
}

/** As they follow the corners. */
const sideNames = ["top", "right", "bottom", "left"] as const satisfies (keyof Sides)[];

function SideHandle({ side, from, to }: { side: keyof Sides; from: Point; to: Point }) {
  const [x, y] = [(from.x + to.x) / 2, (from.y + to.y) / 2];
  const isUpright = Math.abs(to.x - from.x) < Math.abs(to.y - from.y);
  return (
    <>
      <circle class={`reach ${isUpright ? "sideways" : "upwards"}`} data-side={side} cx={x} cy={y} r={16} />
      <rect class="handle" x={x - 5} y={y - 5} width={10} height={10} rx={5} />
    </>
  );
}

/** The handle that turns: beyond the middle of the upper edge. */
function Turner({ corners }: { corners: readonly Point[] }) {
  const [a, b, c, d] = corners as [Point, Point, Point, Point];
  // A flipped layer's first edge is its upper one still.
  const middle = { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 };
  const below = { x: (c.x + d.x) / 2, y: (c.y + d.y) / 2 };
  const length = Math.hypot(middle.x - below.x, middle.y - below.y) || 1;
  const at = { x: middle.x + ((middle.x - below.x) / length) * 26, y: middle.y + ((middle.y - below.y) / length) * 26 };
  return (
    <>
      <line class="stem" x1={middle.x} y1={middle.y} x2={at.x} y2={at.y} />
      <circle class="reach" data-handle="rotate" cx={at.x} cy={at.y} r={15} />
      <circle class="turner" cx={at.x} cy={at.y} r={5.5} />
    </>
  );
}

function Handle({ at, name, corners }: { at: Point; name: string; corners: readonly Point[] }) {
  const centre = corners.reduce((sum, { x, y }) => ({ x: sum.x + x / 4, y: sum.y + y / 4 }), { x: 0, y: 0 });
  const falls = (at.x - centre.x) * (at.y - centre.y) > 0;
  return (
    <>
      <circle class={`reach ${falls ? "falling" : "rising"}`} data-handle={name} cx={at.x} cy={at.y} r={14} />
      <rect class="handle" x={at.x - 4.5} y={at.y - 4.5} width={9} height={9} rx={2.5} />
    </>
  );
}
