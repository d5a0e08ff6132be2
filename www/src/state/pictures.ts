// The pictures of layers: files that never change, under keys of their own.

import { signal } from "@preact/signals";
import type { Point, Size } from "./geometry.ts";
import { newId, type Variant } from "./document.ts";

export interface StoredPicture extends Size {
  readonly id: string;
  readonly blob: Blob;
}

interface Entry extends Size {
  readonly id: string;
  /** Not there as long as it is being made. */
  blob?: Blob;
  url?: string;
}

/** Where a picture is transparent, coarsely: for what a pointer is on. */
interface AlphaMap extends Size {
  readonly data: Uint8Array;
}

const entries = new Map<string, Entry>();
/** A signal, since they are read a while after somebody has asked what is transparent. */
const alphas = signal<ReadonlyMap<string, AlphaMap>>(new Map());

/** Pictures that were drawn lately. */
const bitmaps = new Map<string, ImageBitmap>();
/** How many pixels of them are kept, of 4 bytes each. */
const keptPixels = 24_000_000;

/** The side of an alpha map, at most. */
const mapSide = 192;

export function addStored(picture: StoredPicture): void {
  if (!entries.has(picture.id)) entries.set(picture.id, { ...picture });
}

/** Takes in a picture's file; fails for one that the browser cannot read. */
export async function addPicture(blob: Blob): Promise<Variant> {
  const bitmap = await createImageBitmap(blob);
  const { width, height } = bitmap;
  bitmap.close();
  const id = newId();
  entries.set(id, { id, blob, width, height });
  return { picture: id, width, height };
}

/** Pictures whose files are being made. */
const coming = new Set<Promise<void>>();

/** Takes in a picture whose file is still being made. */
export function addComing(size: Size, file: Promise<Blob>): string {
  const entry: Entry = { id: newId(), ...size };
  entries.set(entry.id, entry);
  const arrival = file
    .then((blob) => void (entry.blob = blob))
    // Whoever needs it is told.
    .catch(console.warn)
    .finally(() => coming.delete(arrival));
  coming.add(arrival);
  return entry.id;
}

/** Settles once no picture's file is being made. */
export async function allCome(): Promise<void> {
  await Promise.all(coming);
}

export function pictureOf(id: string): StoredPicture | undefined {
  const entry = entries.get(id);
  return entry?.blob && { ...entry, blob: entry.blob };
}

export function blobOf(id: string): Blob {
  const blob = entries.get(id)?.blob;
  if (!blob) throw new Error("a picture of this scene is not there any more");
  return blob;
}

/** A URL for images and downloads, which lasts as long as the page. */
export function urlOf(id: string): string {
  const entry = entries.get(id);
  if (!entry?.blob) return "";
  return (entry.url ??= URL.createObjectURL(entry.blob));
}

/** Draws a picture, one pixel to a pixel: at once if it was drawn lately, so that nothing flickers. */
export function draw(id: string, canvas: HTMLCanvasElement): Promise<void> | undefined {
  const bitmap = bitmaps.get(id);
  if (!bitmap) return decode(id).then((decoded) => paint(id, decoded, canvas));
  paint(id, bitmap, canvas);
  return undefined;
}

function paint(id: string, bitmap: ImageBitmap, canvas: HTMLCanvasElement): void {
  canvas.width = bitmap.width;
  canvas.height = bitmap.height;
  canvas.getContext("2d")?.drawImage(bitmap, 0, 0);
  canvas.dataset["drawn"] = id;
}

async function decode(id: string): Promise<ImageBitmap> {
  const bitmap = await createImageBitmap(blobOf(id));
  if (!alphas.value.has(id)) alphas.value = new Map(alphas.value).set(id, readAlpha(bitmap));
  bitmaps.set(id, bitmap);
  // The oldest go, as a map keeps its order.
  let pixels = [...bitmaps.values()].reduce((sum, { width, height }) => sum + width * height, 0);
  for (const [old, { width, height }] of bitmaps) {
    if (pixels <= keptPixels || old === id) break;
    bitmaps.delete(old);
    pixels -= width * height;
  }
  return bitmap;
}

/** Whether there is something of a picture at a point, in its pixels. As long as it is not read, there is. */
export function isOpaqueAt(id: string, { x, y }: Point): boolean {
  const entry = entries.get(id);
  const map = alphas.value.get(id);
  if (!entry || !map) return true;
  const column = Math.floor((x / entry.width) * map.width);
  const row = Math.floor((y / entry.height) * map.height);
  return (map.data[row * map.width + column] ?? 0) > 8;
}

/** Whether a picture has no transparency, as far as it is read. */
export function isWhole(id: string): boolean {
  return alphas.value.get(id)?.data.every((alpha) => alpha > 250) ?? false;
}

function readAlpha(bitmap: ImageBitmap): AlphaMap {
  const scale = Math.min(1, mapSide / Math.max(bitmap.width, bitmap.height));
  const [width, height] = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.round(side * scale))) as [
    number,
    number,
  ];
  const context = new OffscreenCanvas(width, height).getContext("2d");
  context?.drawImage(bitmap, 0, 0, width, height);
  const pixels = context?.getImageData(0, 0, width, height).data ?? [];
  return { width, height, data: Uint8Array.from({ length: width * height }, (_, i) => pixels[4 * i + 3] ?? 255) };
}
