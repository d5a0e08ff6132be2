import { encodePng } from "../internal/png.js";

/**
 * A picture in memory. Its pixels are sRGB with straight (unpremultiplied)
 * alpha, and keep their colour where alpha is 0.
 */
export class Raster {
  readonly width: number;
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
   */
  async toBlob(): Promise<Blob> {
    this.#png ??= this.#encode();
    return this.#png;
  }

  async #encode(): Promise<Blob> {
    const { width, height } = this;
    const { buffer, byteOffset, byteLength } = this.imageData.data;
    try {
      return await encodePng({ width, height, rgba: new Uint8Array(buffer, byteOffset, byteLength) });
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

/** Puts RGBA bytes into an `ImageData`, without a copy. */
export function toImageData(raw: {
  rgba: Uint8Array<ArrayBuffer>;
  width: number;
  height: number;
}): ImageData {
  const { buffer, byteOffset, byteLength } = raw.rgba;
  return new ImageData(new Uint8ClampedArray(buffer, byteOffset, byteLength), raw.width, raw.height);
}
