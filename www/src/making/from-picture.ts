// What a picture that comes in says of how it was made: offered, and in the form once the visitor says so.

import type { ReadRecipe, Recipe, RecipeFile } from "glassine";
import { models, type ShelfFile, type ShelfKind } from "glassine/models";
import { note } from "../panels/notices.tsx";
import { linkable } from "./link.ts";
import { addLora, changeLoras, isCalled, loras } from "./loras.ts";
import { info } from "./model.ts";
import { linked } from "./settings.ts";
import { lacksPictures, steeredOf } from "./steered.ts";

/** Says that the picture of that name brings a recipe along, and what it needs that is not here. */
export async function offerRecipe(name: string, { recipe, others, warnings }: ReadRecipe): Promise<void> {
  const shelf = await models.shelf.list().catch(() => []);
  const fields = { ...recipe, negativePrompt: recipe["negativePrompt"] && inOneLine(recipe["negativePrompt"]) };
  const known = linkable(fields);
  const text = [...missing(recipe, others, shelf), ...leftOut(fields, known), ...warnings.map(sentence)].join(" ");
  if (known.prompt === "") {
    note({ kind: "warning", title: `How ${name} was made is written in it, and not understood`, text });
    return;
  }
  const run = (): void => {
    linked.value = known;
    chooseLoras(files(recipe, "loras"), shelf);
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
function missing(recipe: Recipe, others: Readonly<Record<string, string>>, shelf: readonly ShelfFile[]): string[] {
  const isChosen = ({ name }: RecipeFile): boolean => loras.value.some((lora) => isCalled(lora, name));
  const model = others["Model"] ?? others["Model hash"];
  const steered = steeredOf(recipe);
  const isOther = recipe.model !== undefined && info.value && !`sha256:${info.value.sha256}`.startsWith(recipe.model);
  return [
    ...files(recipe, "loras").flatMap((lora) => (isChosen(lora) ? [] : lacks("LoRA", lora, find(shelf, "lora", lora)))),
    ...files(recipe, "embeddings").flatMap((each) => lacks("embedding", each, find(shelf, "embedding", each))),
    ...steered.flatMap(({ controlnet: name }) => (name ? lacks("ControlNet", { name }, find(shelf, "controlnet", { name })) : [])),
    ...lacksPictures(steered),
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

/** The file of the shelf that a recipe means: the one of its hash, or else of its name. */
function find(shelf: readonly ShelfFile[], kind: ShelfKind, { name, hash }: RecipeFile): ShelfFile | undefined {
  const own = shelf.filter((file) => file.kind === kind);
  return own.find((file) => hasHash(file, hash)) ?? own.find((file) => isCalled(file, name));
}

function hasHash(file: ShelfFile, hash: string | undefined): boolean {
  return hash !== undefined && [file.hash, file.sha256].some((each) => each.startsWith(hash.toLowerCase()));
}

/** What is to be said of a file that a recipe names, and of what the shelf has in its place. */
function lacks(what: string, { name, hash }: RecipeFile, found: ShelfFile | undefined): string[] {
  const shown = hash ? `${name} (${hash.slice(0, 12)})` : name;
  if (!found) return [`The ${what} ${shown} is not on the shelf.`];
  if (hash !== undefined && !hasHash(found, hash)) return [`What the shelf has as ${found.name} is another file than the ${what} ${shown}.`];
  // A LoRA is chosen under the name that the prompt has; an embedding is a word of it.
  return what === "embedding" && !isCalled(found, name) ? [`The ${what} ${shown} is called ${found.name} on the shelf.`] : [];
}

/** Chooses these LoRAs and gives them their strengths; of several of one name the hash decides when they are used. */
function chooseLoras(used: readonly RecipeFile[], shelf: readonly ShelfFile[]): void {
  changeLoras((lora) => {
    const said = used.find(({ name }) => isCalled(lora, name));
    return said ? { ...lora, strength: said.strength ?? lora.strength, hash: said.hash } : lora;
  });
  for (const { name, hash, strength = 1 } of used) {
    const file = find(shelf, "lora", { name, hash });
    if (file && !loras.value.some((chosen) => isCalled(chosen, name))) addLora({ name, file: file.name, hash, strength });
  }
}
