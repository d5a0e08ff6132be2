// A layer once more, from its recipe: with another seed, or with changes.

import { computed, effect, signal } from "@preact/signals";
import type { EngineInfo, GenerateOptions, Mode, Recipe } from "glassine";
import { find, noSides, outline, type PictureNode } from "../state/document.ts";
import { boundsOf, type Size, sizeForAspect } from "../state/geometry.ts";
import { isWhole } from "../state/pictures.ts";
import { doc, margins, selectedPicture, type Tool, tool } from "../state/studio.ts";
import { info } from "./model.ts";
import { enqueue } from "./queue.ts";

/** Which layer the prompt bar is to change, if it is not to make a new one. */
export const changingId = signal<string | undefined>(undefined);
/** That layer as it is now. */
export const changing = computed((): PictureNode | undefined => {
  const node = changingId.value === undefined ? undefined : find(doc.value, changingId.value)?.node;
  return node?.kind === "picture" ? node : undefined;
});

const selectedId = computed(() => selectedPicture.value?.id);

// The brush and the handles of the sides are for changing what is selected.
let last: Tool | undefined;
effect(() => {
  const [id, now] = [selectedId.value, tool.value];
  margins.value = noSides;
  if (now === "mask" || now === "extend") changingId.value = id;
  // What was painted is still to be made anew.
  else if (last === "extend" || (last === "mask" && changing.peek()?.mask === undefined)) changingId.value = undefined;
  last = now;
});

/** What of a recipe is an option of a request, apart from what the page decides. */
const carried = [
  "negativePrompt",
  "foregroundPrompt",
  "backgroundPrompt",
  "blendedPrompt",
  "steps",
  "guidance",
  "guidanceRescale",
  "sampler",
  "convention",
  "clipSkip",
  "decodePasses",
] as const satisfies (keyof GenerateOptions)[];

/** What of a recipe says how a picture was made from another. */
const derived = [
  "strength",
  "maskCrop",
  "maskSoftness",
  "keepAlpha",
  "extend",
  "enlarge",
] as const satisfies (keyof GenerateOptions)[];

export function optionsOf(
  recipe: Recipe | undefined,
  names: readonly (keyof GenerateOptions)[] = carried,
): Partial<GenerateOptions> {
  return Object.fromEntries(names.flatMap((name) => (recipe?.[name] === undefined ? [] : [[name, recipe[name]]])));
}

export function randomSeed(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
}

/** The size that a model is asked for when it makes a layer again. */
export function sizeFor({ width, height, recipe }: PictureNode): Size {
  const own = { width: Number(recipe?.["width"]), height: Number(recipe?.["height"]) };
  if (own.width > 0 && own.height > 0) return own;
  const { defaults, sizeMultiple } = info.value!;
  return sizeForAspect({ width, height }, defaults.width * defaults.height, sizeMultiple);
}

/** What a layer is made in when it is made from itself: what is transparent stays so, and what is not stays so, too. */
export function ownMode({ picture }: PictureNode, { modes }: EngineInfo): Mode {
  return modes.includes("single") && !isWhole(picture) ? "single" : "opaque";
}

/** Makes a layer again with another seed; what it is now can still be chosen. */
export function again(node: PictureNode): void {
  const { recipe, id, from } = node;
  const { modes } = info.value!;
  // One picture of several is made again on its own.
  const mode =
    recipe?.mode && recipe.mode !== "joint" && modes.includes(recipe.mode)
      ? recipe.mode
      : node.role === "foreground"
        ? modes[0]!
        : "opaque";
  enqueue({
    mode,
    prompt: recipe?.prompt ?? node.name,
    options: { ...optionsOf(recipe), ...(from && optionsOf(recipe, derived)) },
    seed: randomSeed(),
    count: 1,
    size: sizeFor(node),
    box: boxOf(node),
    instead: id,
    init: from,
  });
}

/** Has the prompt bar change a layer. */
export function change(node: PictureNode): void {
  changingId.value = node.id;
  document.querySelector<HTMLElement>("[name=prompt]")?.focus();
}

/** Where a layer stands in the scene. */
export function boxOf({ id }: PictureNode) {
  return boundsOf(outline(doc.value, id));
}
