import type { Pixels, Recipe } from "./types.js";
import { toImageData } from "../internal/page/image-data.js";
import { sharedCompose } from "../internal/page/shared-compose.js";
import { boxOf } from "../internal/page/trim.js";
import type { RawRaster } from "../internal/shared/protocol.js";

/** What `trim` leaves of a picture. */
export interface Trimmed {
  /** The part that is not transparent, in a box. */
  readonly picture: Raster;
  /** The box's left edge in the picture that was trimmed. */
  readonly x: number;
  /** The box's top edge in the picture that was trimmed. */
  readonly y: number;
}

/**
 * A picture in memory. Its pixels are sRGB with straight (unpremultiplied)
 * alpha, and keep their colour where alpha is 0.
 */
export class Raster implements Pixels {
  /** In pixels. */
  readonly width: number;
  /** In pixels. */
  readonly height: number;
  /** The pixels: RGBA, 8 bits each, straight alpha, sRGB. */
  readonly imageData: ImageData;
  readonly #recipe: Readonly<Recipe> | undefined;
  #png: Promise<Blob> | undefined;
  #webp: Promise<Blob> | undefined;

  /** @internal Rasters come from an engine or a scene. */
  constructor(raw: RawRaster, recipe?: Readonly<Recipe>) {
    this.width = raw.width;
    this.height = raw.height;
    this.imageData = toImageData(raw);
    this.#recipe = recipe;
  }

  /**
   * A PNG of the picture. It is encoded from straight alpha, so that, unlike
   * with a canvas's `toBlob`, the colour under alpha 0 is kept. The work is done
   * in a worker when it is first asked for, from the pixels as they are then.
   * A layer's PNG says how it was made, as the web UIs write it (`parameters`)
   * and as JSON of its recipe (`glassine`).
   *
   * @throws GlassineError `worker_failed`, `internal`.
   */
  async toBlob(): Promise<Blob> {
    this.#png ??= this.#encode("png").catch((error: unknown) => {
      this.#png = undefined;
      throw error;
    });
    return this.#png;
  }

  /**
   * A lossless WebP of the picture, mostly smaller than the PNG: every pixel as
   * it is, colour under alpha 0 included. A layer's says how it was made in its
   * EXIF data, as the web UIs write it.
   *
   * @throws GlassineError as {@link Raster.toBlob} does, and `bad_image` above 16383 pixels a side.
   */
  async toWebp(): Promise<Blob> {
    this.#webp ??= this.#encode("webp").catch((error: unknown) => {
      this.#webp = undefined;
      throw error;
    });
    return this.#webp;
  }

  async #encode(format: "png" | "webp"): Promise<Blob> {
    const { width, height } = this;
    const recipe = this.#recipe && { recipe: JSON.stringify(this.#recipe) };
    // Copied, because the worker may have other pictures to encode first.
    const rgba = new Uint8Array(this.imageData.data);
    return new Blob([await sharedCompose(format, { width, height, rgba, ...recipe })], { type: `image/${format}` });
  }

  /**
   * The picture without its transparent edges, and where it lay: its left top
   * pixel was at `x`, `y`. Of a picture that is transparent all over one pixel is
   * left.
   */
  trim(): Trimmed {
    const { x, y, width, height } = boxOf(this.imageData);
    const rgba = new Uint8Array(4 * width * height);
    for (let row = 0; row < height; row++) {
      const start = 4 * ((y + row) * this.width + x);
      rgba.set(this.imageData.data.subarray(start, start + 4 * width), 4 * width * row);
    }
    return { picture: new Raster({ width, height, rgba }, this.#recipe), x, y };
  }

  /**
   * The same PNG as a `data:` URL.
   *
   * @throws GlassineError as {@link Raster.toBlob} does.
   */
  async toDataURL(): Promise<string> {
    const bytes = new Uint8Array(await (await this.toBlob()).arrayBuffer());
    // Spread in pieces: a call takes only so many arguments.
    const pieces = Array.from({ length: Math.ceil(bytes.length / 0x8000) }, (_, index) =>
      String.fromCharCode(...bytes.subarray(index * 0x8000, (index + 1) * 0x8000)),
    );
    return `data:image/png;base64,${btoa(pieces.join(""))}`;
  }

  /**
   * A canvas of the picture's size with the picture on it. Canvases are
   * premultiplied: the colour under alpha 0 is not on it.
   *
   * @throws Error in a worker, which has no elements: use {@link Raster.toOffscreenCanvas}.
   */
  toCanvas(): HTMLCanvasElement {
    const canvas = document.createElement("canvas");
    canvas.width = this.width;
    canvas.height = this.height;
    canvas.getContext("2d")?.putImageData(this.imageData, 0, 0);
    return canvas;
  }

  /** The same as {@link Raster.toCanvas}, on a canvas that is no element, in pages and in workers. */
  toOffscreenCanvas(): OffscreenCanvas {
    const canvas = new OffscreenCanvas(this.width, this.height);
    canvas.getContext("2d")?.putImageData(this.imageData, 0, 0);
    return canvas;
  }

  /**
   * A bitmap for drawing. It is premultiplied, as canvases and most GPU blending
   * want it, and has then no colour under alpha 0; pass
   * `{ premultiplyAlpha: "none" }` for straight alpha.
   */
  async toImageBitmap(options: ImageBitmapOptions = {}): Promise<ImageBitmap> {
    return createImageBitmap(this.imageData, {
      premultiplyAlpha: "premultiply",
      colorSpaceConversion: "none",
      ...options,
    });
  }
}
