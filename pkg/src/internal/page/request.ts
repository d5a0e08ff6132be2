// A request as the page makes it: its options checked, and made what the worker takes.

import { GlassineError } from "../../public/errors.js";
import { conventions, engineOptions, modes, samplers, vaes } from "../../public/generated.js";
import type { EngineOptions, GenerateOptions, RequestOptions } from "../../public/types.js";
import type { EngineRequest } from "../shared/protocol.js";
import { pictureOptions } from "../shared/beside.js";
import { checkKinds, checkOptions, type Kind } from "./check-options.js";
import { checkControls, readControls } from "./controls.js";
import { readEmbeddings } from "./embeddings.js";
import { readLoras } from "./loras.js";
import { toPixels } from "./pictures.js";
import { type AtHand, readNamed } from "./shelved.js";

/** Refuses what cannot be asked for, before anything is done for it. A call decides some options itself, and may have its `own`. */
export function checkRequest(
  call: string,
  options: GenerateOptions | undefined,
  decided: readonly string[] = [],
  own: Readonly<Record<string, Kind>> = {},
): void {
  if (options === undefined) throw needsPrompt(call);
  const known = [...Object.keys(own), ...generateOptions.filter((name) => !decided.includes(name))];
  checkKinds(checkOptions(call, options, known), { ...optionKinds, ...own });
  const { variation, hires, extend, controls, count = 1, noise, seed = 0 } = options as Partial<GenerateOptions>;
  if (variation) checkFields("variation", variation, { seed: "whole", amount: "number" }, ["seed", "amount"]);
  if (hires) checkFields("hires", hires, { scale: "number", strength: "number" }, ["scale"]);
  if (extend) checkFields("extend", extend, sides);
  if (controls) checkControls(controls);
  if (count > maxCount) {
    throw new GlassineError("bad_option", `a count of ${count} pictures is not possible`, { hint: `Use 1 to ${maxCount}.` });
  }
  if (!Number.isSafeInteger(seed + (count - 1))) {
    throw new GlassineError("bad_option", `${count} pictures from the seed ${seed} on need larger seeds than there are`, {
      hint: "Use a smaller seed.",
    });
  }
  if (count > 1 && noise) {
    throw new GlassineError("bad_option", "several pictures of the same noise would be the same", { hint: "Leave noise out, or count." });
  }
  if (options.prompt === undefined || options.prompt === null) throw needsPrompt(call);
}

function needsPrompt(call: string): GlassineError {
  return new GlassineError("bad_option", `${call} needs a prompt`, { hint: "Give a string; it may be empty." });
}

/** Checks an option that has fields, of which some must be there. */
function checkFields(name: string, value: object, kindOf: Readonly<Record<string, Kind>>, needed: readonly string[] = []): void {
  checkKinds(checkOptions(name, value, Object.keys(kindOf)), kindOf);
  const missing = needed.find((field) => (value as Record<string, unknown>)[field] == null);
  if (missing !== undefined) throw new GlassineError("bad_option", `${name} needs a number for ${missing}`);
}

/** Those that are files, of which a recipe holds the names alone. */
const fileOptions = ["embeddings", "loras"] as const;

/** The most pictures of one request. */
const maxCount = 1000;

/** By how many pixels a picture grows. */
export const sides = { left: "whole", top: "whole", right: "whole", bottom: "whole" } as const satisfies Record<string, Kind>;

const callbacks = ["signal", "onProgress", "onPreview"] as const;

const generateOptions: readonly string[] = [...engineOptions, ...pictureOptions, ...fileOptions, "controls", "count", ...callbacks];

/** What a recipe does not hold: it would not change the picture, or takes more room than a recipe has. */
export const unrecorded: ReadonlySet<string> = new Set([
  ...pictureOptions,
  ...fileOptions,
  "controls",
  "count",
  ...callbacks,
  "previewEvery",
  "noise",
]);

/** How many passes there are: the paper's one, or all turned and mirrored ones. */
export const decodePasses = [1, 8] as const;

/** What each option is. Its range is the engine's to check. */
const optionKinds = {
  prompt: "text",
  negativePrompt: "text",
  mode: modes,
  foregroundPrompt: "text",
  backgroundPrompt: "text",
  blendedPrompt: "text",
  clipSkip: "count",
  enlarge: "number",
  extend: "fields",
  strength: "number",
  maskCrop: "whole",
  maskSoftness: "whole",
  keepAlpha: "flag",
  controlScale: "number",
  controlStart: "number",
  controlEnd: "number",
  fit: "flag",
  width: "count",
  height: "count",
  steps: "count",
  guidance: "number",
  guidanceRescale: "number",
  seed: "whole",
  variation: "fields",
  hires: "fields",
  sampler: samplers,
  convention: conventions,
  vae: vaes,
  decodePasses,
  previewEvery: "count",
  noise: "floats",
  count: "count",
} as const satisfies Record<keyof EngineOptions | "count", Kind>;

/** A request on its way to the worker, and what of it was found to have no effect. */
export interface PreparedRequest {
  readonly request: EngineRequest;
  readonly warnings: readonly string[];
}

/** Copies the pictures at once, whatever comes of what they were copied from. `own` are the engine's LoRAs. */
export async function toRequest(
  options: GenerateOptions,
  own: Pick<AtHand, "loras" | "embeddingWidth">,
): Promise<PreparedRequest> {
  const { signal, onProgress, onPreview, foreground, background, init, mask, control, controls, embeddings, loras, count, ...request } = options;
  const pictures = Promise.all(
    Object.entries({ foreground, background, init, mask, control }).flatMap(([name, picture]) =>
      picture !== undefined && picture !== null ? [toPixels(picture, { name, signal }).then((raw) => [name, raw] as const)] : [],
    ),
  );
  const steering = readControls(controls ?? [], signal);
  // They are waited for once the files are read.
  for (const waiting of [pictures, steering]) waiting.catch(() => {});
  if (onPreview) request.previewEvery ??= 1;
  const given = { loras: await readLoras(loras, signal), embeddings: await readEmbeddings(embeddings, signal) };
  const named = await readNamed(options, { ...own, ...given, loras: [...own.loras, ...given.loras] });
  return {
    request: {
      ...request,
      ...Object.fromEntries(await pictures),
      controls: await steering,
      embeddings: [...given.embeddings, ...named.embeddings],
      loras: [...given.loras, ...named.loras],
    },
    warnings: named.warnings,
  };
}

/** What a request tells the page. */
export function heard({ signal, onProgress, onPreview }: Omit<GenerateOptions, "prompt">): RequestOptions {
  return {
    signal,
    onProgress(event) {
      onProgress?.(event);
      if (event.phase !== "denoising" || !event.preview) return;
      const { preview, step, steps } = event;
      onPreview?.(preview, { step, steps });
    },
  };
}
