// A layer once more, from its recipe: with another seed, or with changes.

import { computed, signal } from "@preact/signals";
import type { GenerateOptions, Recipe } from "glassine";
import { find, outline, type PictureNode } from "../state/document.ts";
import { boundsOf, type Size, sizeForAspect } from "../state/geometry.ts";
import { doc } from "../state/studio.ts";
import { info } from "./model.ts";
import { enqueue } from "./queue.ts";

/** Which layer the prompt bar is to change, if it is not to make a new one. */
export const changingId = signal<string | undefined>(undefined);
/** That layer as it is now. */
export const changing = computed((): PictureNode | undefined => {
  const node = changingId.value === undefined ? undefined : find(doc.value, changingId.value)?.node;
  return node?.kind === "picture" ? node : undefined;
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

export function optionsOf(recipe: Recipe | undefined): Partial<GenerateOptions> {
  return Object.fromEntries(carried.flatMap((name) => (recipe?.[name] === undefined ? [] : [[name, recipe[name]]])));
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

/** Makes a layer again with another seed; what it is now can still be chosen. */
export function again(node: PictureNode): void {
  const { recipe, id } = node;
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
    options: optionsOf(recipe),
    seed: randomSeed(),
    size: sizeFor(node),
    box: boxOf(node),
    instead: id,
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
