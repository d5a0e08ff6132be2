import { baseUrl } from "../internal/page/assets.js";
import { checkOptions, show } from "../internal/page/check-options.js";
import { type GivenFile, isGivenFile, readGiven } from "../internal/page/given-file.js";
import { isUrl } from "../internal/page/is-url.js";
import { sharedCompose } from "../internal/page/shared-compose.js";
import { abortError } from "../internal/shared/abort-error.js";
import { GlassineError } from "./errors.js";
import type { Recipe } from "./types.js";

/** What a picture's file says of how the picture was made. */
export interface ReadRecipe {
  /** What is understood of it, under the names that options of a request have. */
  readonly recipe: Recipe;
  /** What is not, as the file has it: other programs' settings, names of models. */
  readonly others: Readonly<Record<string, string>>;
  /** What is missing or would come out differently here, for people to read. */
  readonly warnings: readonly string[];
}

/** The options of `readRecipe`. */
export interface ReadRecipeOptions {
  /** Rejects the call with code `"aborted"`. */
  signal?: AbortSignal | undefined;
}

/**
 * Reads how a picture was made from its file, PNG, JPEG or WebP: glassine's own recipe, which is whole, else the text
 * of AUTOMATIC1111's and other web UIs, else ComfyUI's graph where that is a common one. A file of such a text or JSON
 * alone is read, too. It needs no engine. `undefined` stands for a picture that says nothing.
 *
 * LoRAs and embeddings are named, with the first digits of their hashes where the file has them; an app has to have
 * their files. It is a stranger's text: show it as text, and check a value before it is used for more than a request.
 *
 * @example
 * ```ts
 * const read = await readRecipe(input.files[0]);
 * if (read) prompt.value = read.recipe.prompt ?? "";
 * ```
 *
 * @throws GlassineError `bad_image` for a file of another kind, `model_not_found` for a URL at which there is no file, `io`, `network`, `aborted`, `worker_failed`.
 */
export async function readRecipe(
  file: Blob | Uint8Array | URL | string,
  options: ReadRecipeOptions = {},
): Promise<ReadRecipe | undefined> {
  const { signal = new AbortController().signal } = checkOptions("readRecipe", options, ["signal"]);
  const { bytes } = await readGiven(toFile(file), "the picture", signal).catch((error: unknown) => {
    throw signal.aborted ? abortError(signal.reason) : error;
  });
  const json = await sharedCompose("recipe", { file: bytes }, signal);
  if (json === undefined) return undefined;
  const { recipe, others, warnings } = JSON.parse(json) as {
    recipe: Recipe;
    others: [name: string, value: string][];
    warnings: string[];
  };
  return { recipe, others: Object.fromEntries(others), warnings };
}

function toFile(file: unknown): GivenFile {
  if (isGivenFile(file)) return file;
  try {
    // As a picture's, a text that could be a mistake is no URL.
    if (isUrl(file)) return new URL(file, baseUrl());
  } catch {
    // It is none.
  }
  throw new GlassineError("bad_image", `readRecipe takes a picture's file, not ${show(file)}`, {
    hint: "Give a Blob or a File, its bytes as a Uint8Array, or a URL.",
  });
}
