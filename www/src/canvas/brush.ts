// The brush at work on the selected layer's mask.

import { batch, signal } from "@preact/signals";
import { emptyMask, inverted, type Mask, Stroke } from "../state/brush.ts";
import { find, type PictureNode, worldMatrix } from "../state/document.ts";
import { apply, invert, type Point, type Rect } from "../state/geometry.ts";
import { maskFor, readAlpha, setMask } from "../state/masks.ts";
import { blobOf } from "../state/pictures.ts";
import { doc, freePicture } from "../state/studio.ts";
import { attempt } from "../panels/notices.tsx";

export const sizeRange = [1, 512] as const;
/** The least radius in a layer's own pixels: less could pass between the middles of four of them. */
const smallest = 0.5;

/** The brush's diameter, in the scene's pixels. */
export const size = signal(32);
/** The share of its radius within which it covers wholly. */
export const hardness = signal(0.8);
export const erases = signal(false);

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
  const node = freePicture.value;
  const found = node && find(doc.value, node.id);
  const before = node && maskFor(node);
  if (!found || !before) return undefined;
  const toLayer = invert(worldMatrix(doc.value, found));
  const scale = Math.hypot(toLayer[0], toLayer[1]);
  const stroke = new Stroke(before, hardness.value, erases.value || pen.altKey || pen.buttons === eraserButton);
  const to = (at: Point, { pressure, pointerType }: Pen): void => {
    // A pen that is lifted already has no pressure.
    const share = pointerType === "pen" ? 0.25 + 0.75 * (pressure || 0.5) : 1;
    const area = stroke.to({ ...apply(toLayer, at), radius: Math.max(smallest, (size.value / 2) * scale * share) });
    live.value = { id: node.id, mask: stroke.mask, area };
  };
  to(start, pen);
  return {
    move: to,
    end(): void {
      const now = find(doc.value, node.id)?.node;
      batch(() => {
        live.value = undefined;
        // A picture that has come meanwhile may be of another size.
        if (now?.kind === "picture" && now.width === before.width && now.height === before.height)
          setMask(node.id, stroke.mask);
      });
    },
    cancel: (): void => void (live.value = undefined),
  };
}

/** Makes the brush smaller or larger by a step that suits its size. */
export function resizeBrush(way: 1 | -1): void {
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
