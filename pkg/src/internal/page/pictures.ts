import { GlassineError } from "../../public/errors.js";
import type { DrawablePicture, Picture, Pixels } from "../../public/types.js";
import type { RawPicture, RawRaster } from "../shared/protocol.js";
import { abortError } from "../shared/abort-error.js";
import { baseUrl } from "./assets.js";
import { sharedCompose } from "./shared-compose.js";
import { isUrl } from "./is-url.js";

/** What a picture is for, and what stops the reading of it. */
export interface PictureUse {
  /** Its name in messages. */
  name?: string;
  signal?: AbortSignal | undefined;
}

/** Throws for what is no picture. */
export function checkPicture(image: unknown, name = "a given picture"): asserts image is Picture {
  if (image instanceof Blob || isUrl(image) || isDrawable(image)) return;
  const pixels = hasPixels(image) ? image.imageData : image;
  if (!isImageData(pixels)) {
    throw new GlassineError("bad_image", `${name} is not usable`, {
      hint: "Give a Layer, an ImageData, a Blob or URL of a PNG, JPEG or WebP file, a canvas, an ImageBitmap or an image element.",
    });
  }
  // Browsers that have no other colour space need not name this one.
  if ((pixels.colorSpace ?? "srgb") !== "srgb" || !(pixels.data instanceof Uint8ClampedArray)) {
    throw new GlassineError("bad_image", `${name} is an ImageData that is not of 8 bits in sRGB`, {
      hint: 'Make it with getImageData(x, y, width, height, { colorSpace: "srgb" }).',
    });
  }
}

/**
 * Copies a picture for a worker. Files are decoded there: a canvas would lose colour under alpha 0. What can change is
 * copied before the promise is given.
 */
export async function toRawPicture(image: Picture, { name = "a given picture", signal }: PictureUse = {}): Promise<RawPicture> {
  checkPicture(image, name);
  if (isUrl(image)) return fetchPicture(image, name, signal);
  if (image instanceof Blob) return readPicture(image, name);
  if (isDrawable(image)) return draw(image, name);
  const { width, height, data } = hasPixels(image) ? image.imageData : image;
  return { width, height, rgba: new Uint8Array(data) };
}

/** The pixels of a picture, as {@link toRawPicture} copies it. */
export async function toPixels(image: Picture, use: PictureUse = {}): Promise<RawRaster> {
  const raw = await toRawPicture(image, use);
  return raw instanceof Uint8Array ? decode(raw, use) : raw;
}

/** Decodes a picture's file. The worker that does it does not know what it is for. */
async function decode(file: Uint8Array<ArrayBuffer>, { name, signal }: PictureUse): Promise<RawRaster> {
  try {
    return await sharedCompose("picture", { file }, signal);
  } catch (error) {
    if (!name || !(error instanceof GlassineError) || error.code !== "bad_image") throw error;
    const { code, message, hint, recoverable } = error;
    throw new GlassineError(code, `${name}: ${message}`, { hint, recoverable, cause: error });
  }
}

function hasPixels(image: unknown): image is Pixels {
  return isImageData(Object(image).imageData);
}

function isImageData(image: unknown): image is ImageData {
  return typeof ImageData !== "undefined" && image instanceof ImageData;
}

const drawable = ["HTMLCanvasElement", "OffscreenCanvas", "ImageBitmap", "HTMLImageElement", "HTMLVideoElement", "VideoFrame"] as const;

/** By the names of its classes, since one of another window has classes of its own. */
function isDrawable(image: unknown): image is DrawablePicture {
  for (let prototype: object | null = Object(image); prototype; prototype = Object.getPrototypeOf(prototype)) {
    if ((drawable as readonly string[]).includes((prototype as { constructor?: { name?: string } }).constructor?.name ?? "")) return true;
  }
  return false;
}

async function readPicture(file: Blob, name: string): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return new Uint8Array(await file.arrayBuffer());
  } catch (cause) {
    throw new GlassineError("io", `${name} could not be read`, { hint: "Choose the file again.", cause });
  }
}

async function fetchPicture(given: string | URL, name: string, signal: AbortSignal | undefined): Promise<Uint8Array<ArrayBuffer>> {
  let url: URL;
  try {
    url = new URL(given, baseUrl());
  } catch (cause) {
    throw new GlassineError("bad_image", `${name} is no URL: "${String(given).slice(0, 40)}"`, { cause });
  }
  const shown = url.href.length > 200 ? `${url.href.slice(0, 60)}...` : url.href;
  let response: Response;
  try {
    response = await fetch(url, { signal: signal ?? null });
    if (response.ok) return new Uint8Array(await response.arrayBuffer());
  } catch (cause) {
    if (signal?.aborted) throw abortError(signal.reason);
    throw new GlassineError("network", `${name} cannot be fetched from ${shown}`, {
      hint: "Check the connection, that another origin allows this page to read it (CORS), and connect-src of a content security policy.",
      recoverable: true,
      cause,
    });
  }
  const missing = response.status === 404 || response.status === 410;
  throw new GlassineError(missing ? "bad_image" : "network", `${name} is not at ${shown} (HTTP ${response.status})`, {
    hint: "Check the URL.",
    recoverable: response.status >= 500,
  });
}

/** Draws a picture and reads its pixels. What is there already is drawn before the promise is given. */
async function draw(image: DrawablePicture, name: string): Promise<RawRaster> {
  if ("decode" in image && !image.complete) {
    await image.decode().catch((cause: unknown) => {
      throw new GlassineError("bad_image", `${name} is an image that could not be loaded`, { hint: "Check its src.", cause });
    });
  }
  const { width, height } = sizeOf(image);
  if (width === 0 || height === 0) {
    throw new GlassineError("bad_image", `${name} has no pixels`, {
      hint: "Give a picture that is loaded, not closed or transferred, and at least 1 x 1 pixels.",
    });
  }
  try {
    const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true, colorSpace: "srgb" });
    if (!context) throw new Error("there is no canvas of that size");
    context.drawImage(image, 0, 0, width, height);
    const { data } = context.getImageData(0, 0, width, height);
    return { width, height, rgba: new Uint8Array(data.buffer) };
  } catch (cause) {
    const tainted = cause instanceof DOMException && cause.name === "SecurityError";
    throw new GlassineError("bad_image", `${name} cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`, {
      hint: tainted ? 'It has pixels of another origin: load them with crossorigin="anonymous", or give their URL.' : "",
      cause,
    });
  }
}

/** The size of the picture itself, whatever the page makes of it. */
function sizeOf(image: DrawablePicture): { width: number; height: number } {
  if ("naturalWidth" in image) return { width: image.naturalWidth, height: image.naturalHeight };
  if ("videoWidth" in image) return { width: image.videoWidth, height: image.videoHeight };
  if ("displayWidth" in image) return { width: image.displayWidth, height: image.displayHeight };
  return { width: image.width, height: image.height };
}
