// What ControlNets see: made anew of what steers whenever it is asked for.

import { type ControlOption, edges, GlassineError } from "glassine";
import { isAbort } from "../panels/notices.tsx";
import type { Mask } from "../state/brush.ts";
import type { Control, Steering } from "../state/controls.ts";
import { fit, type Size } from "../state/geometry.ts";
import { toImage } from "../state/masks.ts";
import { blobOf } from "../state/pictures.ts";
import { layerOf, nameOf } from "./control.ts";

/** What a control's picture is made of, which never changes itself: a picture's key, or what was drawn. */
export function originOf({ source }: Control): string | Mask | undefined {
  if ("picture" in source) return source.picture;
  return "drawing" in source ? source.drawing.present : layerOf(source.layer)?.picture;
}

/**
 * What the ControlNet sees: of a layer what it is now.
 *
 * @throws GlassineError if it is not there any more, or cannot be read.
 */
export async function seen(control: Steering, signal: AbortSignal): Promise<Blob | ImageData> {
  const origin = originOf(control);
  if (typeof origin === "object") return toImage(origin);
  if (origin === undefined) throw lost("a layer that was to steer is not there any more");
  try {
    const file = blobOf(origin);
    if (control.look !== "picture")
      return (await edges(file, { of: control.look === "edges" ? "color" : "alpha", signal })).imageData;
    // Here, since a file may have been moved or changed meanwhile.
    return new Blob([await file.arrayBuffer()], { type: file.type });
  } catch (error) {
    if (isAbort(error)) throw error;
    throw lost(`the picture ${nameOf(control)} that was to steer could not be read`, error);
  }
}

function lost(what: string, cause?: unknown): GlassineError {
  const hint = "Choose another picture in the settings, or remove it there, and make it again.";
  return new GlassineError("bad_image", what, { hint, cause });
}

/** A control as a request has it. In a request that does not have its pictures fitted, it is to be of a size already. */
export async function toOption(control: Steering, size: Size | undefined, signal: AbortSignal): Promise<ControlOption> {
  const { by, scale, start, end } = control;
  const image = await seen(control, signal);
  const picture = size ? await fitted(image, size) : image;
  return { picture, ...(by.file !== undefined && { controlnet: by.file }), scale, start, end };
}

/** A picture over all of a frame, as the engine fits it, and black where it is transparent. */
export async function fitted(image: Blob | ImageData, { width, height }: Size): Promise<ImageData> {
  const bitmap = await createImageBitmap(image);
  const context = new OffscreenCanvas(width, height).getContext("2d");
  if (!context) throw new Error("this browser has no room for a picture of this size");
  const { scale } = fit(bitmap, { x: 0, y: 0, width, height }, "cover");
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = "high";
  context.translate(width / 2, height / 2);
  context.scale(scale, scale);
  context.drawImage(bitmap, -bitmap.width / 2, -bitmap.height / 2);
  bitmap.close();
  return context.getImageData(0, 0, width, height);
}
