// What the prompt bar says, and what is asked of the model by it.

import { computed, signal } from "@preact/signals";
import type { EngineInfo, GenerateOptions, Mode } from "glassine";
import { find, grow, outline, type PictureNode, update, worldMatrix } from "../state/document.ts";
import { apply, boundsOf, clip, corners, type Rect, type Size, sizeForAspect } from "../state/geometry.ts";
import { maskedOf } from "../state/masks.ts";
import { box, doc, margins } from "../state/studio.ts";
import type { LinkedRecipe } from "./link.ts";
import { info } from "./model.ts";
import type { Wish } from "./queue.ts";
import { boxOf, changing, optionsOf, ownMode, sizeFor } from "./redo.ts";

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
  /** Whether the part around the mask is made at the model's own size, with so many pixels around it. */
  readonly crops: boolean;
  readonly maskCrop: number;
  readonly maskSoftness: number;
  readonly keepAlpha: boolean;
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
    crops: data.has("crops"),
    maskCrop: Number(text("maskCrop")),
    maskSoftness: Number(text("maskSoftness")),
    keepAlpha: data.has("keepAlpha"),
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
  const { mode, prompt, seed, steps, guidance } = now;
  const texts = Object.entries(now).filter(
    ([name, value]) => name !== "prompt" && name.endsWith("rompt") && value !== "",
  );
  const frames = texts.filter(([name]) => name === "negativePrompt" || manyFrames.includes(mode));
  const options = { ...beside.value, ...Object.fromEntries(frames), steps, guidance };
  // Pictures that belong together cannot each be chosen from others.
  const count = mode === "joint" && !changing.value ? 1 : now.count;
  const wish = { mode, prompt, options, seed, count };
  if (changing.value) return toChange(changing.value, wish, now, model);
  const area = model.defaults.width * model.defaults.height;
  const target = box.value ?? (sizeFollows.value ? doc.value : undefined);
  const size = target ? sizeForAspect(target, area, model.sizeMultiple) : now.size;
  return { ...wish, size, box: box.value };
}

/** Whether the selected layer is to grow on its sides. */
export const isExtending = computed(() => Object.values(margins.value).some((side) => side > 0));

/** A wish for another picture of a layer, made from what it is: larger, where its mask says so, or all over. */
function toChange(node: PictureNode, wish: Omit<Wish, "size">, now: Settings, model: EngineInfo): Wish {
  const { id, picture, width, height, mask } = node;
  const { sampler, clipSkip } = optionsOf(node.recipe);
  const options = { ...(sampler && { sampler }), ...(clipSkip && { clipSkip }), ...wish.options };
  const init = { picture, width, height };
  const all = { ...wish, mode: ownMode(node, model), instead: id, init };
  if (isExtending.value) {
    const grown = grow(node, margins.value, node);
    const box = boundsOf(outline(update(doc.value, [id], () => grown), id));
    return { ...all, options: { ...options, extend: margins.value }, size: grown, box };
  }
  const box = boxOf(node);
  if (mask === undefined)
    return { ...all, options: { ...options, strength: now.strength }, size: sizeFor(node), box };
  const { strength, maskSoftness, maskCrop } = now;
  const keepAlpha = now.keepAlpha && all.mode === "single";
  const repaint = { ...options, strength, maskSoftness, ...(keepAlpha && { keepAlpha }) };
  const masked = { ...all, init: { ...init, mask } };
  if (!crops(node, now, model)) return { ...masked, options: repaint, size: { width, height }, box };
  const part = partOf(node, maskCrop);
  const size = sizeForAspect(part, model.defaults.width * model.defaults.height, model.sizeMultiple);
  return { ...masked, options: { ...repaint, maskCrop }, size, box: boxOfPart(node, part) };
}

/** Whether a model can take a picture as it is: in size, and not far larger than it was trained for. */
export function takesWhole({ width, height }: Size, { defaults, sizeMultiple }: EngineInfo): boolean {
  const isEven = width % sizeMultiple === 0 && height % sizeMultiple === 0;
  return isEven && width * height <= 2.5 * defaults.width * defaults.height;
}

/** Whether the part around the mask is made by itself: if that is wanted, or must be. */
function crops(node: PictureNode, { crops }: Settings, model: EngineInfo): boolean {
  return crops || !takesWhole(node, model);
}

/** The part of a layer's picture that is masked, and so many pixels around it. */
function partOf({ id, width, height }: PictureNode, margin: number): Rect {
  const whole = { x: 0, y: 0, width, height };
  const part = maskedOf(id)?.bounds ?? whole;
  const around = { width: part.width + 2 * margin, height: part.height + 2 * margin };
  return clip({ x: part.x - margin, y: part.y - margin, ...around }, whole);
}

/** Where a part of a layer stands in the scene. */
function boxOfPart({ id }: PictureNode, part: Rect): Rect | undefined {
  const found = find(doc.value, id);
  return found && boundsOf(corners(part).map((corner) => apply(worldMatrix(doc.value, found), corner)));
}

/** What the next picture would be, for foretelling what it takes. */
export const next = computed(() => (settings.value && info.value ? toWish(settings.value, info.value) : undefined));
