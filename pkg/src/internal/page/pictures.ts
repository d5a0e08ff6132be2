import { GlassineError } from "../../public/errors.js";
import type { Picture, Pixels } from "../../public/types.js";
import type { RawPicture } from "../shared/protocol.js";

/** Throws for what is no picture. */
export function checkPicture(image: unknown): asserts image is Picture {
  if (image instanceof Blob) return;
  const pixels = hasPixels(image) ? image.imageData : image;
  if (!isImageData(pixels)) {
    throw new GlassineError("bad_image", "a given picture is not usable", {
      hint: "Give a Layer, an ImageData, or a Blob of a PNG, JPEG or WebP file.",
    });
  }
  // Browsers that have no other colour space need not name this one.
  if ((pixels.colorSpace ?? "srgb") !== "srgb" || !(pixels.data instanceof Uint8ClampedArray)) {
    throw new GlassineError("bad_image", "a given ImageData is not of 8 bits in sRGB", {
      hint: 'Make it with getImageData(x, y, width, height, { colorSpace: "srgb" }).',
    });
  }
}

/** Copies a picture for the worker. Files are decoded there: a canvas would lose colour under alpha 0. */
export async function toRawPicture(image: Picture): Promise<RawPicture> {
  checkPicture(image);
  if (image instanceof Blob) return new Uint8Array(await image.arrayBuffer());
  const { width, height, data } = hasPixels(image) ? image.imageData : image;
  return { width, height, rgba: new Uint8Array(data) };
}

function hasPixels(image: unknown): image is Pixels {
  return isImageData(Object(image).imageData);
}

function isImageData(image: unknown): image is ImageData {
  return typeof ImageData !== "undefined" && image instanceof ImageData;
}
