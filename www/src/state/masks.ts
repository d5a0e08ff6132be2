// The masks of layers: grey pictures among the others, of which those that are at work are here as bytes.

import { signal } from "@preact/signals";
import { emptyMask, type Mask, measure, type Masked } from "./brush.ts";
import { find, type PictureNode, update } from "./document.ts";
import { addComing, pictureOf } from "./pictures.ts";
import { doc, edit } from "./studio.ts";

/** Masks by their keys, those that were used last at the end. */
const read = signal<ReadonlyMap<string, Mask>>(new Map());
/** How many bytes of them are kept. */
const keptBytes = 32_000_000;
const reading = new Set<string>();

function keep(key: string, mask: Mask): void {
  const next = new Map([...read.value].filter(([other]) => other !== key)).set(key, mask);
  let bytes = [...next.values()].reduce((sum, { data }) => sum + data.length, 0);
  for (const [old, { data }] of next) {
    if (bytes <= keptBytes || old === key) break;
    next.delete(old);
    bytes -= data.length;
  }
  read.value = next;
}

/** A mask by its key; undefined until it is read, whereupon whoever has asked for it is drawn anew. */
export function maskOf(key: string | undefined): Mask | undefined {
  if (key === undefined) return undefined;
  const mask = read.value.get(key);
  if (!mask && !reading.has(key)) {
    reading.add(key);
    readMask(key)
      .then((found) => found && keep(key, found), console.warn)
      .finally(() => reading.delete(key));
  }
  return mask;
}

async function readMask(key: string): Promise<Mask | undefined> {
  const picture = pictureOf(key);
  // On black, so that what is transparent in a mask from elsewhere counts as black, as the engine has it.
  return picture && readChannel(picture.blob, 0, "#000");
}

/** The alpha of a picture's file as a mask. */
export function readAlpha(file: Blob): Promise<Mask> {
  return readChannel(file, 3);
}

async function readChannel(file: Blob, channel: 0 | 3, background = "#0000"): Promise<Mask> {
  const bitmap = await createImageBitmap(file);
  const { width, height } = bitmap;
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error("this browser has no room for a picture of this size");
  context.fillStyle = background;
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const pixels = context.getImageData(0, 0, width, height).data;
  const mask = emptyMask({ width, height });
  for (let index = 0; index < mask.data.length; index++) mask.data[index] = pixels[4 * index + channel]!;
  return mask;
}

/** A mask as pixels: opaque grey, as the engine takes it. */
export function toImage({ width, height, data }: Mask): ImageData {
  const image = new ImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  for (let index = 0; index < data.length; index++) pixels[index] = 0xff000000 | (data[index]! * 0x010101);
  return image;
}

async function toPng(mask: Mask): Promise<Blob> {
  const canvas = new OffscreenCanvas(mask.width, mask.height);
  canvas.getContext("2d")?.putImageData(toImage(mask), 0, 0);
  return canvas.convertToBlob();
}

/** Gives a layer another mask, as one step to undo; one that keeps everything is none. */
export function setMask(id: string, mask: Mask): void {
  const key = measure(mask).bounds && addComing(mask, toPng(mask));
  if (key !== undefined) keep(key, mask);
  edit((now) =>
    update(now, [id], (node) => (node.kind === "picture" && node.mask !== key ? { ...node, mask: key } : node)),
  );
}

/** A layer's mask as it is to be painted on: an empty one if it has none, undefined as long as it is not read. */
export function maskFor(node: PictureNode): Mask | undefined {
  return node.mask === undefined ? emptyMask(node) : maskOf(node.mask);
}

/** What of a layer is masked, as far as that is known. */
export function maskedOf(id: string | undefined): Masked | undefined {
  const node = id === undefined ? undefined : find(doc.value, id)?.node;
  const mask = node?.kind === "picture" ? maskOf(node.mask) : undefined;
  return mask && measure(mask);
}
