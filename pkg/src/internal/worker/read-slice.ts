// TypeScript's library for pages leaves out what only workers have.
declare class FileReaderSync {
  readAsArrayBuffer(blob: Blob): ArrayBuffer;
}

/** Bytes of a file, at once. */
export function readSlice(file: Blob, start: number, end: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new FileReaderSync().readAsArrayBuffer(file.slice(start, end)));
}
