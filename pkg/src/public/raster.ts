import type { Pixels } from "./types.js";
import { encodePng } from "../internal/page/encode-png.js";
import { toImageData } from "../internal/page/image-data.js";

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
  #png: Promise<Blob> | undefined;

  /** @internal Rasters come from an engine or a scene. */
  constructor(raw: { width: number; height: number; rgba: Uint8Array<ArrayBuffer> }) {
    this.width = raw.width;
    this.height = raw.height;
    this.imageData = toImageData(raw);
  }

  /**
   * A PNG of the picture. It is encoded from straight alpha, so that, unlike
   * with a canvas's `toBlob`, the colour under alpha 0 is kept. The work is done
   * in a worker when it is first asked for, from the pixels as they are then.
   *
   * @throws GlassineError `worker_failed`, `internal`.
   */
  async toBlob(): Promise<Blob> {
    this.#png ??= this.#encode();
    return this.#png;
  }

  async #encode(): Promise<Blob> {
    const { width, height } = this;
    try {
      // Copied, because the worker may have other pictures to encode first.
      return await encodePng({ width, height, rgba: new Uint8Array(this.imageData.data) });
    } catch (error) {
      this.#png = undefined;
      throw error;
    }
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
