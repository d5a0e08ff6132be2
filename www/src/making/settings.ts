// What the prompt bar says, and what is asked of the model by it.

import { computed, signal } from "@preact/signals";
import type { EngineInfo, GenerateOptions, Mode } from "glassine";
import { type Size, sizeForAspect } from "../state/geometry.ts";
import { isWhole } from "../state/pictures.ts";
import { box, doc } from "../state/studio.ts";
import type { LinkedRecipe } from "./link.ts";
import { info } from "./model.ts";
import type { Wish } from "./queue.ts";
import { boxOf, changing, optionsOf, sizeFor } from "./redo.ts";

export interface Settings {
  readonly mode: Mode;
  readonly prompt: string;
  readonly negativePrompt: string;
  readonly foregroundPrompt: string;
  readonly backgroundPrompt: string;
  readonly blendedPrompt: string;
  readonly seed: number;
  readonly steps: number;
  readonly guidance: number;
  readonly size: Size;
  readonly count: number;
  readonly strength: number;
}

/** What the form says, once there is a model. */
export const settings = signal<Settings | undefined>(undefined);

/** What a link or a picture asks for, once the visitor has agreed. */
export const linked = signal<LinkedRecipe | undefined>(undefined);

export function read(form: HTMLFormElement): Settings {
  const data = new FormData(form);
  const text = (name: string): string => String(data.get(name) ?? "").trim();
  const [width = 0, height = 0] = text("size").split("x").map(Number);
  return {
    mode: text("mode") as Mode,
    prompt: text("prompt"),
    negativePrompt: text("negativePrompt"),
    foregroundPrompt: text("foregroundPrompt"),
    backgroundPrompt: text("backgroundPrompt"),
    blendedPrompt: text("blendedPrompt"),
    seed: Number(text("seed")),
    steps: Number(text("steps")),
    guidance: Number(text("guidance")),
    size: { width, height },
    count: Number(text("count")) || 1,
    strength: Number(text("strength")),
  };
}

/** What a link asks for that the form has no field for. */
export const beside = computed((): Partial<GenerateOptions> => {
  const { sampler, convention, guidanceRescale, clipSkip, decodePasses } = linked.value ?? {};
  const options = { sampler, convention, guidanceRescale, clipSkip, decodePasses };
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
});

/** The modes that make several pictures, whose prompts can have more words. */
export const manyFrames: readonly Mode[] = ["joint", "fg2bg", "bg2fg"];

/** The sizes that are offered: the model's own, wider and higher ones, and that of a link. */
export function sizes({ defaults: { width, height }, sizeMultiple }: EngineInfo): Size[] {
  const longer = (side: number): number => Math.max(1, Math.round((side * 1.5) / sizeMultiple)) * sizeMultiple;
  const { width: linkedWidth, height: linkedHeight } = linked.value ?? {};
  const all = [
    { width, height },
    { width, height: longer(height) },
    { width: longer(width), height },
    { width: longer(width), height: longer(height) },
    ...(linkedWidth && linkedHeight ? [{ width: linkedWidth, height: linkedHeight }] : []),
  ];
  return all.filter((size, index) => all.findIndex((other) => other.width === size.width && other.height === size.height) === index);
}

/** Whether the size follows from where the picture is to stand. */
export const sizeFollows = computed(
  () =>
    box.value !== undefined ||
    changing.value !== undefined ||
    (doc.value.layers.length > 0 && (settings.value?.mode === "bg2fg" || settings.value?.mode === "fg2bg")),
);

/** What is asked for by what the form says and what is chosen on the canvas. */
export function toWish(now: Settings, model: EngineInfo): Wish {
  const { mode, prompt, seed, steps, guidance, strength } = now;
  const texts = Object.entries(now).filter(
    ([name, value]) => name !== "prompt" && name.endsWith("rompt") && value !== "",
  );
  const frames = texts.filter(([name]) => name === "negativePrompt" || manyFrames.includes(mode));
  const options = { ...beside.value, ...Object.fromEntries(frames), steps, guidance };
  const node = changing.value;
  if (node) {
    const { sampler, clipSkip } = optionsOf(node.recipe);
    const more = { ...(sampler && { sampler }), ...(clipSkip && { clipSkip }) };
    // What is transparent stays so, and what is not stays so, too.
    const own = model.modes.includes("single") && !isWhole(node.picture) ? "single" : "opaque";
    return {
      mode: own,
      prompt,
      options: { ...more, ...options },
      seed,
      size: sizeFor(node),
      box: boxOf(node),
      instead: node.id,
      init: { picture: node.picture, strength },
    };
  }
  const area = model.defaults.width * model.defaults.height;
  const target = box.value ?? (sizeFollows.value ? doc.value : undefined);
  const size = target ? sizeForAspect(target, area, model.sizeMultiple) : now.size;
  return { mode, prompt, options, seed, size, box: box.value };
}

/** What the next picture would be, for foretelling what it takes. */
export const next = computed(() => (settings.value && info.value ? toWish(settings.value, info.value) : undefined));
