// Safetensors files, as far as the tests need them.

import { readFileSync } from "node:fs";

/** All tensors of a file by name: `{dtype, shape, bytes}`. */
export const readSafetensors = (path) => parseSafetensors(readFileSync(path));

/** As `readSafetensors`, of a file's bytes. */
export function parseSafetensors(file) {
  const start = 8 + Number(file.readBigUInt64LE(0));
  const { __metadata__, ...header } = JSON.parse(file.toString("utf8", 8, start));
  const tensors = new Map();
  for (const [name, { dtype, shape, data_offsets: [from, to] }] of Object.entries(header)) {
    tensors.set(name, { dtype, shape, bytes: file.subarray(start + from, start + to) });
  }
  return tensors;
}

/** The bytes of a file of such tensors, and of what it says of itself. */
export function writeSafetensors(tensors, metadata) {
  let offset = 0;
  const header = metadata ? { __metadata__: metadata } : {};
  for (const [name, { dtype, shape, bytes }] of tensors) {
    header[name] = { dtype, shape, data_offsets: [offset, (offset += bytes.length)] };
  }
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, ...[...tensors.values()].map(({ bytes }) => bytes)]);
}

/** The values of a tensor of bytes, 32-bit integers or floats. */
export function valuesOf({ dtype, bytes }) {
  const kinds = { U8: Uint8Array, I32: Int32Array, F32: Float32Array };
  if (!kinds[dtype]) throw new Error(`the tests do not read tensors of type ${dtype}`);
  return Array.from(new kinds[dtype](new Uint8Array(bytes).buffer));
}
