import { GlassineError } from "../../public/errors.js";
import type { ModelSource } from "../../public/types.js";

/**
 * The bytes that the page's own source gives for a file, copied because they are about to be moved into the worker.
 * Whether a failure may pass is for the source to say: only its own `GlassineError` can be recoverable.
 */
export async function readFrom(
  source: ModelSource,
  path: string,
  options: { signal: AbortSignal; again: boolean },
): Promise<Uint8Array<ArrayBuffer>> {
  let bytes: Awaited<ReturnType<ModelSource["read"]>>;
  try {
    bytes = await source.read(path, options);
    if (bytes instanceof Blob) return new Uint8Array(await bytes.arrayBuffer());
  } catch (cause) {
    if (cause instanceof GlassineError) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new GlassineError("io", `the model source could not read ${path}: ${reason}`, { cause });
  }
  if (bytes instanceof Uint8Array) return new Uint8Array(bytes);
  if (bytes instanceof ArrayBuffer) return new Uint8Array(bytes.slice(0));
  throw new GlassineError("io", `the model source gave no bytes for ${path}`, {
    hint: "read() must give a Uint8Array, an ArrayBuffer or a Blob.",
  });
}
