// Where things are: plain numbers, no browser. Pixels of the scene, y downwards, angles in degrees clockwise.

export interface Point {
  readonly x: number;
  readonly y: number;
}

export interface Size {
  readonly width: number;
  readonly height: number;
}

export interface Rect extends Point, Size {}

/** x' = a x + c y + e, y' = b x + d y + f: as CSS's `matrix()` has it. */
export type Matrix = readonly [a: number, b: number, c: number, d: number, e: number, f: number];

/** How a picture or a group is placed, as the scene file says it. */
export interface Placement extends Point {
  readonly scale: number;
  readonly rotate: number;
  readonly flip: boolean;
}

export const identity: Matrix = [1, 0, 0, 1, 0, 0];

/** `first` after `second`, as matrices are written. */
export function multiply(first: Matrix, second: Matrix): Matrix {
  const [a, b, c, d, e, f] = first;
  const [A, B, C, D, E, F] = second;
  return [a * A + c * B, b * A + d * B, a * C + c * D, b * C + d * D, a * E + c * F + e, b * E + d * F + f];
}

export function invert([a, b, c, d, e, f]: Matrix): Matrix {
  const det = a * d - b * c;
  return [d / det, -b / det, -c / det, a / det, (c * f - d * e) / det, (b * e - a * f) / det];
}

export function apply([a, b, c, d, e, f]: Matrix, { x, y }: Point): Point {
  return { x: a * x + c * y + e, y: b * x + d * y + f };
}

export function translation(x: number, y: number): Matrix {
  return [1, 0, 0, 1, x, y];
}

/** Does `linear` with `centre` staying where it is. */
export function about(centre: Point, [a, b, c, d]: Matrix): Matrix {
  return multiply(multiply(translation(centre.x, centre.y), [a, b, c, d, 0, 0]), translation(-centre.x, -centre.y));
}

export function scaling(x: number, y = x): Matrix {
  return [x, 0, 0, y, 0, 0];
}

export function rotation(degrees: number): Matrix {
  const [sin, cos] = [Math.sin((degrees * Math.PI) / 180), Math.cos((degrees * Math.PI) / 180)];
  return [cos, sin, -sin, cos, 0, 0];
}

/** Where the pixels of a picture of this size go. */
export function toMatrix({ x, y, scale, rotate, flip }: Placement, { width, height }: Size): Matrix {
  const [halfWidth, halfHeight] = [width / 2, height / 2];
  const linear = multiply(rotation(rotate), scaling(flip ? -scale : scale, scale));
  return multiply(multiply(translation(x + halfWidth, y + halfHeight), linear), translation(-halfWidth, -halfHeight));
}

/** The placement that a matrix of turns, mirrorings, moves and even scalings comes from. */
export function toPlacement(matrix: Matrix, { width, height }: Size): Placement {
  const [a, b, c, d] = matrix;
  const det = a * d - b * c;
  const flip = det < 0;
  const centre = apply(matrix, { x: width / 2, y: height / 2 });
  const angle = (Math.atan2(flip ? -b : b, flip ? -a : a) * 180) / Math.PI;
  return {
    x: round(centre.x - width / 2),
    y: round(centre.y - height / 2),
    scale: round(Math.sqrt(Math.abs(det)), 1e6),
    rotate: round(angle) + 0,
    flip,
  };
}

/** Without the noise of floating point, which nobody wants to read in a scene file. */
function round(value: number, factor = 1e4): number {
  return Math.round(value * factor) / factor;
}

export function corners({ x, y, width, height }: Rect): [Point, Point, Point, Point] {
  return [
    { x, y },
    { x: x + width, y },
    { x: x + width, y: y + height },
    { x, y: y + height },
  ];
}

/** The upright box around points. */
export function boundsOf(points: readonly Point[]): Rect {
  const [xs, ys] = [points.map(({ x }) => x), points.map(({ y }) => y)];
  const [left, top] = [Math.min(...xs), Math.min(...ys)];
  return { x: left, y: top, width: Math.max(...xs) - left, height: Math.max(...ys) - top };
}

export function centreOf({ x, y, width, height }: Rect): Point {
  return { x: x + width / 2, y: y + height / 2 };
}

/** The box with two points as its corners. */
export function between(a: Point, b: Point): Rect {
  return boundsOf([a, b]);
}

export function overlap(a: Rect, b: Rect): boolean {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

export type Edge = "left" | "centre" | "right" | "top" | "middle" | "bottom";

/** How far a box has to go to have an edge, or its centre, where another has it. */
export function alignment(box: Rect, to: Rect, edge: Edge): Point {
  const x = {
    left: to.x - box.x,
    centre: centreOf(to).x - centreOf(box).x,
    right: to.x + to.width - box.x - box.width,
  };
  const y = {
    top: to.y - box.y,
    middle: centreOf(to).y - centreOf(box).y,
    bottom: to.y + to.height - box.y - box.height,
  };
  return { x: edge in x ? x[edge as keyof typeof x] : 0, y: edge in y ? y[edge as keyof typeof y] : 0 };
}

/** The part of `inner` that lies in `outer`. */
export function clip(inner: Rect, outer: Rect): Rect {
  const [x, y] = [Math.max(inner.x, outer.x), Math.max(inner.y, outer.y)];
  return {
    x,
    y,
    width: Math.max(0, Math.min(inner.x + inner.width, outer.x + outer.width) - x),
    height: Math.max(0, Math.min(inner.y + inner.height, outer.y + outer.height) - y),
  };
}

/** The placement that puts a picture into a box as large as it goes, whole, or over all of it. */
export function fit(size: Size, box: Rect, how: "contain" | "cover" = "contain"): Placement {
  const [x, y] = [box.width / size.width, box.height / size.height];
  const scale = round(how === "contain" ? Math.min(x, y) : Math.max(x, y), 1e6);
  const { x: centreX, y: centreY } = centreOf(box);
  return { x: round(centreX - size.width / 2), y: round(centreY - size.height / 2), scale, rotate: 0, flip: false };
}

/**
 * The size that is nearest to a box's aspect, of about as many pixels as `area`, in multiples of `multiple`: what a
 * model is asked for when its picture is to fill the box.
 */
export function sizeForAspect(box: Size, area: number, multiple: number): Size {
  const aspect = box.width / box.height;
  const side = (value: number): number => Math.max(multiple, Math.round(value / multiple) * multiple);
  const [width, height] = [side(Math.sqrt(area * aspect)), side(Math.sqrt(area / aspect))];
  return { width, height };
}

/** A line that something snaps to. */
export interface Guide {
  readonly axis: "x" | "y";
  readonly at: number;
}

/** The edges and the centre of boxes, on one axis. */
function lines(boxes: readonly Rect[], axis: "x" | "y"): number[] {
  const length = axis === "x" ? "width" : "height";
  return boxes.flatMap((box) => [box[axis], box[axis] + box[length] / 2, box[axis] + box[length]]);
}

/** The line nearest to a value, and how far it is, if it is near enough. */
function nearest(
  values: readonly number[],
  targets: readonly number[],
  reach: number,
): { by: number; at: number } | undefined {
  let best: { by: number; at: number } | undefined;
  for (const at of targets) {
    for (const value of values) {
      const by = at - value;
      if (Math.abs(by) <= reach && (!best || Math.abs(by) < Math.abs(best.by))) best = { by, at };
    }
  }
  return best;
}

/** How far a box has to go so that its edges or its centre lie on those of others, and the lines that it then lies on. */
export function snapMove(box: Rect, others: readonly Rect[], reach: number): { by: Point; guides: Guide[] } {
  const found = (["x", "y"] as const).map(
    (axis) => [axis, nearest(lines([box], axis), lines(others, axis), reach)] as const,
  );
  const by = { x: found[0]?.[1]?.by ?? 0, y: found[1]?.[1]?.by ?? 0 };
  return { by, guides: found.flatMap(([axis, hit]) => (hit ? [{ axis, at: hit.at }] : [])) };
}

/** The factor, near to the given one, with which a corner that is scaled from `origin` lies on a line of others. */
export function snapScale(
  corner: Point,
  origin: Point,
  factor: number,
  others: readonly Rect[],
  reach: number,
): { factor: number; guides: Guide[] } {
  let best = { factor, guides: [] as Guide[], distance: reach };
  for (const axis of ["x", "y"] as const) {
    const span = corner[axis] - origin[axis];
    if (Math.abs(span) < 1e-6) continue;
    const hit = nearest([origin[axis] + span * factor], lines(others, axis), reach);
    if (!hit || Math.abs(hit.by) > best.distance) continue;
    best = { factor: (hit.at - origin[axis]) / span, guides: [{ axis, at: hit.at }], distance: Math.abs(hit.by) };
  }
  return best.factor > 0 ? best : { factor, guides: [] };
}

/** The angle at which a point lies from another. */
export function angleOf(from: Point, to: Point): number {
  return (Math.atan2(to.y - from.y, to.x - from.x) * 180) / Math.PI;
}

export function distance(a: Point, b: Point): number {
  return Math.hypot(a.x - b.x, a.y - b.y);
}
