import { GlassineError } from "../../public/errors.js";

// TypeScript's library for pages leaves out what only workers have.
declare class FileReaderSync {
  readAsArrayBuffer(blob: Blob): ArrayBuffer;
}

/** Bytes of a file, at once. */
export function readSlice(file: Blob, start: number, end: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new FileReaderSync().readAsArrayBuffer(file.slice(start, end)));
}

/** As `readSlice`, of a file that is called so: one that cannot be read is not one that is damaged. */
export function readNamedSlice(name: string, file: Blob, start: number, end: number): Uint8Array<ArrayBuffer> {
  try {
    return readSlice(file, start, end);
  } catch (cause) {
    throw new GlassineError("io", `${name} could not be read`, { hint: "Choose the file again.", cause });
  }
}
