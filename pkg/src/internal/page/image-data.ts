/** Puts RGBA bytes into an `ImageData`, without a copy. */
export function toImageData(raw: {
  rgba: Uint8Array<ArrayBuffer>;
  width: number;
  height: number;
}): ImageData {
  const { buffer, byteOffset, byteLength } = raw.rgba;
  return new ImageData(new Uint8ClampedArray(buffer, byteOffset, byteLength), raw.width, raw.height);
}
