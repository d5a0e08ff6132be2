// What recipes and links say of the pictures that steered: everything but the pictures.

import type { Recipe, RecipeControl } from "glassine";

/** The controls of a recipe, those of requests with a single one among them. */
export function steeredOf(recipe: Recipe): RecipeControl[] {
  const { controls, controlScale, controlStart, controlEnd } = recipe;
  const single = { scale: controlScale, start: controlStart, end: controlEnd };
  const isSingle = Object.values(single).some((value) => value !== undefined);
  const all: unknown[] = [...(isSingle ? [single] : []), ...(Array.isArray(controls) ? controls : [])];
  return all.map((each) => read(each as Partial<Record<keyof RecipeControl, unknown>>));
}

/** A control as somebody's file has it. */
function read({ controlnet, scale, start, end }: Partial<Record<keyof RecipeControl, unknown>>): RecipeControl {
  const number = (value: unknown, usual: number): number => (typeof value === "number" ? value : usual);
  const name = typeof controlnet === "string" && controlnet !== "" && { controlnet };
  return { ...name, scale: number(scale, 1), start: number(start, 0), end: number(end, 1) };
}

/** How one steered, in words. */
export function inWords({ controlnet = "the model's own ControlNet", scale, start, end }: RecipeControl): string {
  const part = start > 0 || end < 1 ? ` from ${percent(start)} to ${percent(end)} % of the steps` : "";
  return `${controlnet} at ${scale}${part}`;
}

export function percent(part: number): number {
  return Math.round(100 * part);
}

/** What is to be done about pictures that no recipe holds. */
export function lacksPictures(controls: readonly RecipeControl[]): string[] {
  if (controls.length === 0) return [];
  const what = controls.length === 1 ? "a picture, which is" : `${controls.length} pictures, which are`;
  return [`It was steered by ${what} not in it (${controls.map(inWords).join("; ")}): choose what steers in the settings.`];
}

/** As a link has it. Names on the shelf have no colon and no slash. */
export function toText(controls: readonly RecipeControl[]): string {
  return controls.map(({ controlnet = "", scale, start, end }) => [controlnet, scale, start, end].join(":")).join("/");
}

/** Reads what `toText` has written; undefined for anything else. */
export function fromText(text: string): RecipeControl[] | undefined {
  const controls = text.split("/").map((each) => {
    const [controlnet = "", ...numbers] = each.split(":");
    const [scale = -1, start = -1, end = -1] = numbers.map((number) => (/^\d+(\.\d+)?$/.test(number) ? Number(number) : -1));
    const isOne = numbers.length === 3 && scale >= 0 && scale <= 10 && start >= 0 && start < end && end <= 1;
    return isOne && controlnet.length <= 128 ? read({ controlnet, scale, start, end }) : undefined;
  });
  const known = controls.flatMap((control) => control ?? []);
  return known.length === controls.length && known.length <= most ? known : undefined;
}

/** The most that a link says of. */
const most = 8;
