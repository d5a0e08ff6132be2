// What a brush does to a mask: plain numbers, no browser. Points are in the mask's pixels.

import type { Point, Rect, Size } from "./geometry.ts";

/** Where a picture is made anew: 255 wholly, 0 not at all, row by row. */
export interface Mask extends Size {
  readonly data: Uint8Array<ArrayBuffer>;
}

/** A point that a brush is led over, and how wide it is there. */
export interface Dab extends Point {
  readonly radius: number;
}

/** What of a mask counts as nothing, as the engine reads it. */
const nothing = 2;

export function emptyMask({ width, height }: Size, value = 0): Mask {
  return { width, height, data: new Uint8Array(width * height).fill(value) };
}

export function inverted({ width, height, data }: Mask): Mask {
  return { width, height, data: data.map((value) => 255 - value) };
}

/** One movement of a brush: however often it passes a place, that place is covered once. */
export class Stroke {
  /** The mask with what is done so far. */
  readonly mask: Mask;
  readonly #before: Uint8Array;
  readonly #covered: Uint8Array;
  readonly #hardness: number;
  readonly #erases: boolean;
  #last: Dab | undefined;

  /** `hardness` is the share of the radius within which the brush covers wholly. */
  constructor(before: Mask, hardness: number, erases: boolean) {
    this.mask = { ...before, data: before.data.slice() };
    this.#before = before.data;
    this.#covered = new Uint8Array(before.data.length);
    this.#hardness = hardness;
    this.#erases = erases;
  }

  /** Leads the brush straight on to a point; gives the part of the mask that this may have changed, if any. */
  to(dab: Dab): Rect | undefined {
    const from = this.#last ?? dab;
    this.#last = dab;
    const area = this.#around(from, dab);
    if (area.width <= 0 || area.height <= 0) return undefined;
    for (let y = area.y; y < area.y + area.height; y++) {
      for (let x = area.x; x < area.x + area.width; x++) {
        const share = coverage({ x: x + 0.5, y: y + 0.5 }, from, dab, this.#hardness);
        if (share > 0) this.#cover(y * this.mask.width + x, Math.round(255 * share));
      }
    }
    return area;
  }

  #cover(index: number, share: number): void {
    if (share <= this.#covered[index]!) return;
    this.#covered[index] = share;
    const before = this.#before[index]!;
    const target = this.#erases ? 0 : 255;
    this.mask.data[index] = Math.round(before + ((target - before) * share) / 255);
  }

  /** The pixels that a brush may touch on its way from one point to another. */
  #around(from: Dab, to: Dab): Rect {
    const reach = Math.max(from.radius, to.radius) + 1;
    const [left, right] = span(from.x, to.x, reach, this.mask.width);
    const [top, bottom] = span(from.y, to.y, reach, this.mask.height);
    return { x: left, y: top, width: right - left, height: bottom - top };
  }
}

function span(a: number, b: number, reach: number, side: number): [number, number] {
  return [Math.max(0, Math.floor(Math.min(a, b) - reach)), Math.min(side, Math.ceil(Math.max(a, b) + reach))];
}

/** How much a brush that went straight from one point to another covers of a pixel with this middle, 0 to 1. */
export function coverage(at: Point, from: Dab, to: Dab, hardness: number): number {
  const [dx, dy] = [to.x - from.x, to.y - from.y];
  const length = dx * dx + dy * dy;
  // How far along the way the nearest point is.
  const along = length === 0 ? 1 : Math.min(1, Math.max(0, ((at.x - from.x) * dx + (at.y - from.y) * dy) / length));
  const away = Math.hypot(at.x - from.x - along * dx, at.y - from.y - along * dy);
  const radius = from.radius + along * (to.radius - from.radius);
  // Even the hardest edge is a pixel wide, so that it has no steps.
  const [outer, inner] = [radius + 0.5, Math.min(radius - 0.5, radius * hardness)];
  const share = Math.min(1, Math.max(0, (outer - away) / (outer - inner)));
  return share * share * (3 - 2 * share);
}

/** What of a mask is to be made anew. */
export interface Masked {
  /** The share of all pixels, 0 to 1. */
  readonly share: number;
  /** The box around them; not there if there are none. */
  readonly bounds: Rect | undefined;
}

const measured = new WeakMap<Mask, Masked>();

export function measure(mask: Mask): Masked {
  let known = measured.get(mask);
  if (!known) measured.set(mask, (known = count(mask)));
  return known;
}

function count({ width, height, data }: Mask): Masked {
  let [left, top, right, bottom, found] = [width, height, 0, 0, 0];
  for (let y = 0, index = 0; y < height; y++) {
    for (let x = 0; x < width; x++, index++) {
      if (data[index]! <= nothing) continue;
      found++;
      left = Math.min(left, x);
      right = Math.max(right, x + 1);
      top = Math.min(top, y);
      bottom = y + 1;
    }
  }
  const bounds = found > 0 ? { x: left, y: top, width: right - left, height: bottom - top } : undefined;
  return { share: found / (width * height), bounds };
}
