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
