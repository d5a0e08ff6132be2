// The brush at work: on the selected layer's mask, or on a drawing.

import { batch, computed, signal } from "@preact/signals";
import { drawing, setDrawing } from "../making/drawing.ts";
import { next } from "../making/settings.ts";
import { attempt } from "../panels/notices.tsx";
import { emptyMask, inverted, type Mask, Stroke } from "../state/brush.ts";
import { find, type PictureNode, worldMatrix } from "../state/document.ts";
import { apply, fit, invert, type Matrix, type Point, type Rect, toMatrix } from "../state/geometry.ts";
import { maskFor, readAlpha, setMask } from "../state/masks.ts";
import { blobOf } from "../state/pictures.ts";
import { doc, freePicture, tool } from "../state/studio.ts";

export const sizeRange = [1, 512] as const;
/** The least radius in a layer's own pixels: less could pass between the middles of four of them. */
const smallest = 0.5;

/** The brush's diameter for each of what it paints on, in the scene's pixels. */
export const sizes = { mask: signal(32), draw: signal(6) };
/** The share of its radius within which it covers wholly. */
export const hardness = signal(0.8);
export const erases = signal(false);

/** What the brush paints on. */
interface Surface {
  readonly id: string;
  readonly mask: Mask;
  /** From its pixels to the scene's. */
  readonly matrix: Matrix;
  readonly size: (typeof sizes)[keyof typeof sizes];
  readonly hardness: number;
  /** Takes what was painted. */
  readonly set: (mask: Mask) => void;
}

/** What the brush paints on now: nothing as long as there is nothing, or it is not read. */
export const surface = computed((): Surface | undefined => {
  if (tool.value === "mask") return maskSurface();
  return tool.value === "draw" ? drawingSurface() : undefined;
});

function maskSurface(): Surface | undefined {
  const node = freePicture.value;
  const found = node && find(doc.value, node.id);
  const mask = node && maskFor(node);
  if (!found || !mask) return undefined;
  const set = (painted: Mask): void => {
    const now = find(doc.value, node.id)?.node;
    // A picture that has come meanwhile may be of another size.
    if (now?.kind === "picture" && now.width === mask.width && now.height === mask.height) setMask(node.id, painted);
  };
  return { id: node.id, mask, matrix: worldMatrix(doc.value, found), size: sizes.mask, hardness: hardness.value, set };
}

/** A drawing lies where what is made of it will stand. */
function drawingSurface(): Surface | undefined {
  const { id, history } = drawing.value ?? {};
  if (id === undefined || !history) return undefined;
  const mask = history.present;
  const box = next.value?.box ?? { x: 0, y: 0, width: doc.value.width, height: doc.value.height };
  return { id, mask, matrix: toMatrix(fit(mask, box), mask), size: sizes.draw, hardness: 1, set: setDrawing };
}

/** What is being painted, and the part of it that the last movement has changed. */
export const live = signal<{ readonly id: string; readonly mask: Mask; readonly area: Rect | undefined } | undefined>(
  undefined,
);

/** What a pointer event says of a pen. */
export interface Pen {
  readonly pressure: number;
  readonly pointerType: string;
  readonly buttons: number;
  readonly altKey: boolean;
}

/** The button of a pen's other end. */
export const eraserButton = 32;

/** Begins to paint where a pointer is, a point of the scene. */
export function paint(start: Point, pen: Pen) {
  const { value } = surface;
  if (!value) return undefined;
  const { id, mask, matrix, size, hardness, set } = value;
  const toSurface = invert(matrix);
  const scale = Math.hypot(toSurface[0], toSurface[1]);
  const stroke = new Stroke(mask, hardness, erases.value || pen.altKey || pen.buttons === eraserButton);
  const to = (at: Point, { pressure, pointerType }: Pen): void => {
    // A pen that is lifted already has no pressure.
    const share = pointerType === "pen" ? 0.25 + 0.75 * (pressure || 0.5) : 1;
    const area = stroke.to({ ...apply(toSurface, at), radius: Math.max(smallest, (size.value / 2) * scale * share) });
    live.value = { id, mask: stroke.mask, area };
  };
  to(start, pen);
  return {
    move: to,
    end: (): void =>
      batch(() => {
        live.value = undefined;
        set(stroke.mask);
      }),
    cancel: (): void => void (live.value = undefined),
  };
}

/** Makes the brush smaller or larger by a step that suits its size. */
export function resizeBrush(way: 1 | -1): void {
  const { size } = surface.value ?? {};
  if (!size) return;
  const step = Math.max(1, Math.round(size.value / 8));
  size.value = Math.min(sizeRange[1], Math.max(sizeRange[0], size.value + way * step));
}

function change(to: (node: PictureNode, mask: Mask) => Mask): void {
  const node = freePicture.value;
  const mask = node && maskFor(node);
  if (node && mask) setMask(node.id, to(node, mask));
}

export const fillMask = (): void => change((node) => emptyMask(node, 255));
export const clearMask = (): void => change((node) => emptyMask(node));
export const invertMask = (): void => change((_, mask) => inverted(mask));

/** Masks what of the layer is to be seen. */
export function maskFromAlpha(): void {
  const node = freePicture.value;
  if (!node) return;
  void attempt("Reading the layer's alpha", async (signal) => {
    const mask = await readAlpha(blobOf(node.picture));
    if (!signal.aborted) setMask(node.id, mask);
  });
}
