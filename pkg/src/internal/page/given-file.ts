// Files that the page gives to an engine whole: their bytes, or where they are.

import { GlassineError } from "../../public/errors.js";
import { fetchBytes } from "../shared/fetch.js";

export type GivenFile = Blob | Uint8Array | URL;

export function isGivenFile(file: unknown): file is GivenFile {
  return file instanceof Blob || file instanceof Uint8Array || file instanceof URL;
}

/** Whether it can be the name of a file on the shelf. */
export function isName(file: unknown): file is string {
  return typeof file === "string" && file !== "";
}

/** The bytes, and what the file is called: `label` if it has no name of its own. */
export async function readGiven(
  file: GivenFile,
  label: string,
  signal: AbortSignal,
): Promise<{ name: string; bytes: Uint8Array<ArrayBuffer> }> {
  const name = file instanceof URL ? file.href : file instanceof File ? file.name : label;
  if (file instanceof URL) return { name, bytes: await fetchBytes(file, { signal }, "file") };
  // Copied, because the caller may change what was given before it is used.
  if (file instanceof Uint8Array) return { name, bytes: new Uint8Array(file) };
  try {
    return { name, bytes: new Uint8Array(await file.arrayBuffer()) };
  } catch (cause) {
    throw new GlassineError("io", `${name} could not be read`, { hint: "Choose the file again.", cause });
  }
}
