// Textual inversions that the page gives with a request.

import { GlassineError } from "../../public/errors.js";
import type { EmbeddingOption } from "../../public/types.js";
import type { RawEmbedding } from "../shared/protocol.js";
import { abortError } from "../shared/abort-error.js";
import { isGivenFile, isName, readGiven } from "./given-file.js";
import { readShelved } from "./shelved.js";

/** Reads the embeddings' files. */
export async function readEmbeddings(
  embeddings: readonly EmbeddingOption[] = [],
  signal: AbortSignal = new AbortController().signal,
): Promise<RawEmbedding[]> {
  if (!Array.isArray(embeddings)) throw new GlassineError("bad_option", "embeddings must be a list", { hint });
  embeddings.forEach(check);
  try {
    return await Promise.all(embeddings.map((embedding, index) => read(embedding, index, signal)));
  } catch (error) {
    throw signal.aborted ? abortError(signal.reason) : error;
  }
}

const hint = "Give objects { file, name }: a Blob, a Uint8Array, a URL or a name on the shelf, and a name for bytes without one.";

function check(embedding: EmbeddingOption, index: number): void {
  const { file, name } = embedding ?? {};
  if (!isGivenFile(file) && !isName(file)) throw new GlassineError("bad_option", `embeddings[${index}] has no usable file`, { hint });
  const isNamed = name === undefined ? isName(file) || file instanceof URL || file instanceof File : typeof name === "string";
  if (!isNamed) throw new GlassineError("bad_option", `embeddings[${index}] has no usable name`, { hint });
}

async function read({ file, name }: EmbeddingOption, index: number, signal: AbortSignal): Promise<RawEmbedding> {
  if (typeof file === "string") return { ...(await readShelved("embedding", file)), name: name ?? file };
  const given = await readGiven(file, `embeddings[${index}]`, signal);
  return { file: given.name, bytes: given.bytes, name };
}
