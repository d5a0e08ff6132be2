// What a picture that comes in says of how it was made: offered, and in the form once the visitor says so.

import type { ReadRecipe, Recipe, RecipeFile } from "glassine";
import { note } from "../panels/notices.tsx";
import { linkable } from "./link.ts";
import { loras } from "./loras.ts";
import { info } from "./model.ts";
import { linked } from "./settings.ts";

/** Says that the picture of that name brings a recipe along, and what it needs that is not here. */
export function offerRecipe(name: string, { recipe, others, warnings }: ReadRecipe): void {
  const fields = { ...recipe, negativePrompt: recipe["negativePrompt"] && inOneLine(recipe["negativePrompt"]) };
  const known = linkable(fields);
  const text = [...missing(recipe, others), ...leftOut(fields, known), ...warnings.map(sentence)].join(" ");
  if (known.prompt === "") {
    note({ kind: "warning", title: `How ${name} was made is written in it, and not understood`, text });
    return;
  }
  const run = (): void => {
    linked.value = known;
    chooseStrengths(files(recipe, "loras"));
    document.querySelector<HTMLElement>("[name=prompt]")?.focus();
  };
  note({ kind: "offer", title: `${name} says how it was made`, text, action: { label: "Fill the form with it", run } });
}

/** A field of one line has no room for more. */
function inOneLine(text: unknown): string {
  return String(text).trim().replace(/\s*\n\s*/g, " ");
}

function files(recipe: Recipe, list: "loras" | "embeddings"): readonly RecipeFile[] {
  return (recipe[list] as readonly RecipeFile[] | undefined) ?? [];
}

/** What it was made with that is not here. */
function missing(recipe: Recipe, others: Readonly<Record<string, string>>): string[] {
  const shown = ({ name, hash }: RecipeFile): string => (hash ? `${name} (${hash.slice(0, 12)})` : name);
  const isChosen = ({ name }: RecipeFile): boolean => loras.value.some((lora) => isCalled(lora, name));
  const lacking = files(recipe, "loras").filter((lora) => !isChosen(lora));
  const model = others["Model"] ?? others["Model hash"];
  const isOther = recipe.model !== undefined && info.value && !`sha256:${info.value.sha256}`.startsWith(recipe.model);
  return [
    ...lacking.map((lora) => `The LoRA ${shown(lora)} is not chosen.`),
    ...files(recipe, "embeddings").map((embedding) => `The embedding ${shown(embedding)} is not here.`),
    ...(model ? [`It was made with the model ${model}.`] : isOther ? ["It was made with another model than the one that is loaded."] : []),
  ];
}

/** What the form cannot hold. */
function leftOut(recipe: Recipe, known: object): string[] {
  const names = ["prompt", "negativePrompt", "seed", "steps", "guidance", "width", "height"];
  const lost = names.filter((name) => recipe[name] !== undefined && recipe[name] !== "" && !Object.hasOwn(known, name));
  return lost.map((name) => `Its ${name} is beyond what the form takes.`);
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

/** Gives the chosen LoRAs of these names their strengths; of several of one name the hash decides when they are used. */
function chooseStrengths(used: readonly RecipeFile[]): void {
  loras.value = loras.value.map((lora) => {
    const said = used.find(({ name }) => isCalled(lora, name));
    return said ? { ...lora, strength: said.strength ?? lora.strength, hash: said.hash } : lora;
  });
}

function isCalled({ name }: { name: string }, other: string): boolean {
  return name.toLowerCase() === other.toLowerCase();
}
