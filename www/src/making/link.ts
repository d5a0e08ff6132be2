// A link to how a picture is made: in the address's fragment, which no server is sent.

import { conventions, type Mode, modes, type Recipe, samplers } from "glassine";
import { fromText, steeredOf, toText } from "./steered.ts";

/** What a link can say of a picture. */
export interface LinkedRecipe {
  readonly prompt: string;
  readonly negativePrompt?: string;
  readonly foregroundPrompt?: string;
  readonly backgroundPrompt?: string;
  readonly blendedPrompt?: string;
  readonly mode?: Mode;
  readonly width?: number;
  readonly height?: number;
  readonly steps?: number;
  readonly guidance?: number;
  readonly guidanceRescale?: number;
  readonly sampler?: (typeof samplers)[number];
  readonly convention?: (typeof conventions)[number];
  readonly seed?: number;
  readonly clipSkip?: number;
  readonly decodePasses?: number;
  /** The ControlNets, each with what `steered.ts` writes of it. */
  readonly steeredBy?: string;
}

/** Where a link says that the model is. */
export interface LinkedModel {
  /** `mini`, or the URL of a pack. */
  readonly model: string;
  /** How large it is, as the link says. */
  readonly bytes?: number;
}

export interface Link {
  readonly recipe: LinkedRecipe;
  /** Not there where the link leaves the model to whoever opens it. */
  readonly from?: LinkedModel | undefined;
}

/** Reads a value, or says what it should have been. */
type Reader = (text: string) => unknown;

class Unreadable extends Error {}

const text =
  (most: number): Reader =>
  (text) => {
    if (text.length <= most) return text;
    throw new Unreadable(`a text of at most ${most} letters`);
  };

const number =
  (least: number, most: number, isWhole = true): Reader =>
  (text) => {
    const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : NaN;
    if (value >= least && value <= most && (!isWhole || Number.isInteger(value))) return value;
    throw new Unreadable(`a ${isWhole ? "whole " : ""}number from ${least} to ${most}`);
  };

const oneOf =
  (words: readonly string[]): Reader =>
  (text) => {
    if (words.includes(text)) return text;
    throw new Unreadable(`one of ${words.join(", ")}`);
  };

const readers: Record<keyof LinkedRecipe, Reader> = {
  prompt: text(2000),
  negativePrompt: text(500),
  foregroundPrompt: text(500),
  backgroundPrompt: text(500),
  blendedPrompt: text(500),
  mode: oneOf(modes),
  width: number(1, 4096),
  height: number(1, 4096),
  steps: number(1, 1000),
  guidance: number(0, 100, false),
  guidanceRescale: number(0, 1, false),
  sampler: oneOf(samplers),
  convention: oneOf(conventions),
  seed: number(0, 2 ** 32 - 1),
  clipSkip: number(1, 48),
  decodePasses: (text) => (text === "1" || text === "8" ? Number(text) : refuse("1 or 8")),
  steeredBy: (text) => (fromText(text) ? text : refuse("ControlNets with their strengths and steps")),
};

const modelReaders: Record<keyof LinkedModel, Reader> = {
  model: (text) => (text === "mini" ? text : (publicUrl(text) ?? refuse("mini, or the URL of a pack on the web"))),
  bytes: number(0, 1e12),
};

function refuse(what: string): never {
  throw new Unreadable(what);
}

/** The URL of a pack's folder without what may be somebody's own in it; undefined if it is not on the web. */
export function publicUrl(url: string): string | undefined {
  if (!/^https?:\/\//i.test(url) || !URL.canParse(url)) return undefined;
  const { origin, pathname } = new URL(url);
  return `${origin}${pathname.replace(/\/(manifest\.json)?$/, "")}/`;
}

/** What of a recipe a link carries: nothing that it does not know. */
export function linkable(recipe: Recipe): LinkedRecipe {
  const said: Recipe = { ...recipe, steeredBy: toText(steeredOf(recipe)) };
  const known = Object.entries(readers).flatMap(([name, read]) => {
    const value = said[name];
    if (value === undefined || value === "") return [];
    try {
      return [[name, read(String(value))] as const];
    } catch {
      return [];
    }
  });
  return { prompt: "", ...Object.fromEntries(known) };
}

/** The fragment that says this. */
export function toFragment({ recipe, from }: Link): string {
  const entries = Object.entries({ ...recipe, ...from }).filter(([, value]) => value !== undefined);
  return `#${new URLSearchParams(entries.map(([name, value]) => [name, String(value)]))}`;
}

/**
 * What a fragment says; undefined if there is none.
 *
 * @throws Error with what is wrong, in one line.
 */
export function fromFragment(fragment: string): Link | undefined {
  const said = fragment.replace(/^#/, "");
  if (said === "") return undefined;
  const all: Record<string, Reader> = { ...readers, ...modelReaders };
  const values: Record<string, unknown> = {};
  for (const [name, value] of new URLSearchParams(said)) {
    const read = Object.hasOwn(all, name) ? all[name] : undefined;
    if (!read) throw new Error(`it says "${shorten(name)}", which this page does not know`);
    if (name in values) throw new Error(`it says ${name} twice`);
    try {
      values[name] = read(value);
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error;
      throw new Error(`its ${name} is "${shorten(value)}", and should be ${error.message}`);
    }
  }
  const { model, bytes, prompt = "", ...recipe } = values as Partial<LinkedModel> & Partial<LinkedRecipe>;
  if (prompt === "") throw new Error("it has no prompt");
  const from = model === undefined ? undefined : { model, ...(bytes !== undefined && { bytes }) };
  return { recipe: { prompt, ...recipe }, from };
}

function shorten(text: string): string {
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}
