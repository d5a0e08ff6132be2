// How long a picture will take and how much memory: by what pictures have taken here before, and by the model.

import { computed, effect, signal } from "@preact/signals";
import type { Mode } from "glassine";
import { type ModelEstimate, models } from "glassine/models";
import type { Size } from "../state/geometry.ts";
import { info, modelName } from "./model.ts";

/** Milliseconds that one pixel takes: in a step of denoising, and to be decoded. */
interface Rates {
  readonly step: number;
  readonly decode: number;
}

const rates = signal<Rates | undefined>(undefined);

/** What a request will take, as far as it is known. */
export interface Work extends Size {
  readonly mode: Mode;
  readonly steps: number;
  readonly guidance: number;
  readonly count: number;
}

/** How many pictures a mode makes together, each with a seed of its own. */
const frames: Record<Mode, number> = { single: 1, opaque: 1, joint: 3, fg2bg: 2, bg2fg: 2 };

const stepPixels = ({ width, height, mode, steps, guidance }: Work): number =>
  width * height * frames[mode] * steps * (guidance === 1 ? 1 : 2);

const storageKey = (): string => `glassine-rates ${info.value?.sha256} ${info.value?.device}`;

/** Learns from pictures that were made. */
export function learn(work: Work, { denoising = 0, decoding = 0 }: Readonly<Record<string, number>>): void {
  rates.value = {
    step: denoising / (work.count * stepPixels(work)),
    decode: decoding / (work.count * work.width * work.height * frames[work.mode]),
  };
  try {
    localStorage.setItem(storageKey(), JSON.stringify(rates.value));
  } catch {
    // It is learnt anew at the next visit.
  }
}

/** What this device took at an earlier visit, with the model that is loaded. */
function recall(): Rates | undefined {
  try {
    const text = localStorage.getItem(storageKey());
    return text ? (JSON.parse(text) as Rates) : undefined;
  } catch {
    return undefined;
  }
}

effect(() => {
  if (info.value) rates.value = recall();
});

/** Seconds, or undefined before a first picture was made. */
export function secondsFor(work: Work): number | undefined {
  if (!rates.value) return undefined;
  const { step, decode } = rates.value;
  return (work.count * (step * stepPixels(work) + decode * work.width * work.height * frames[work.mode])) / 1000;
}

/** Seconds as people say them. */
export function inWords(seconds: number): string {
  if (seconds < 1) return "less than a second";
  if (seconds < 90) return `about ${Math.round(seconds)} s`;
  if (seconds < 5400) return `about ${Math.round(seconds / 60)} min`;
  return `about ${(seconds / 3600).toFixed(1)} h`;
}

/** What the model takes for the next picture, once that is known; it tells what its pack holds, too. */
export const estimate = signal<ModelEstimate | undefined>(undefined);
/** Whether the model can be steered by a picture. */
export const hasControlNet = computed(() => estimate.value?.parts.includes("controlnet") ?? false);

/** Finds out what a picture will take. */
export async function look({ mode, width, height }: Work, signal: AbortSignal): Promise<void> {
  estimate.value = await models.estimate(modelName.value, { mode, width, height, signal });
}
