// Files of the shelf that a request names: as options, and in its prompts.

import { GlassineError } from "../../public/errors.js";
import type { GenerateOptions, ShelfKind } from "../../public/types.js";
import type { RawEmbedding, RawLora } from "../shared/protocol.js";
import { called, isSameName, onShelf, plain, Shelf, type ShelfRecord } from "../shared/shelf.js";
import { show } from "./check-options.js";
import { isUrl } from "./is-url.js";
import { suggestion } from "./suggestions.js";

/** What the kinds are called. */
const kinds: Readonly<Record<ShelfKind, string>> = { lora: "LoRA", embedding: "embedding", controlnet: "ControlNet" };

/** A file's bytes, and what it was called as it was added. */
export interface Shelved {
  readonly file: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** Reads the file of that kind and name, or rather the one whose hash begins so. */
export async function readShelved(kind: ShelfKind, name: string, hash?: string): Promise<Shelved> {
  const files = await onShelf();
  const own = files.filter((file) => file.kind === kind);
  const found = own.find((file) => hash !== undefined && hasHash(file, hash)) ?? called(own, name);
  if (found) return read(found);
  throw notFound(kind, name, files);
}

/** A file that is as large as a model, to be read as it is used; of that kind and name. */
export async function openShelved(kind: ShelfKind, name: string): Promise<{ record: ShelfRecord; file: File }> {
  const files = await onShelf();
  const record = called(files.filter((file) => file.kind === kind), name);
  const file = record && (await (await Shelf.find())?.open(record));
  if (record && file) return { record, file };
  throw notFound(kind, name, files.filter((other) => other !== record));
}

/** Whether a file's hash, as recipes have it, or that of all of it begins so. */
function hasHash({ hash, sha256 }: ShelfRecord, digits: string): boolean {
  const start = digits.toLowerCase();
  return hash.startsWith(start) || sha256.startsWith(start);
}

/** Nothing is read of the shelf that is not what was put there. */
async function read(record: ShelfRecord): Promise<Shelved> {
  const bytes = await (await Shelf.find())?.readIntact(record.sha256);
  if (bytes) return { file: record.file, bytes };
  if (!called(await onShelf(), record.name)) throw notFound(record.kind, record.name, []);
  throw new GlassineError("model_damaged", `the file "${record.name}" on the shelf is damaged`, {
    hint: `Remove it with models.shelf.remove(${JSON.stringify(record.name)}), and add it again.`,
  });
}

/** Says what there is instead. */
export function notFound(kind: ShelfKind | undefined, name: string, files: readonly ShelfRecord[]): GlassineError {
  const what = kind ? kinds[kind] : "file";
  const other = called(files, name);
  const message = other
    ? `"${other.name}" on the shelf is no ${what} but a ${other.description}`
    : `no ${what} on the shelf is called ${show(name)}`;
  const names = files.filter((file) => kind === undefined || file.kind === kind).map((file) => file.name);
  const there = names.length > 0 ? `There are ${names.map((each) => `"${each}"`).join(", ")}.` : "There is none: models.shelf.add puts one there.";
  const meant = isUrl(name) ? "A URL is given as a URL: new URL(...)." : suggestion(name, names, "name");
  return new GlassineError("model_not_found", message, { hint: [meant, there].filter(Boolean).join(" ") });
}

/** What prompts name that is on the shelf. */
export interface Named {
  readonly loras: readonly RawLora[];
  readonly embeddings: readonly RawEmbedding[];
  /** What of the shelf is not used, and why. */
  readonly warnings: readonly string[];
}

/** What is at hand without the shelf, and goes before it. */
export interface AtHand {
  readonly loras: readonly RawLora[];
  readonly embeddings: readonly RawEmbedding[];
  /** How many numbers the vectors of an embedding are to have. */
  readonly embeddingWidth: number;
}

/** Reads what a request's prompts name that is on the shelf, and nothing else of it. */
export async function readNamed(options: GenerateOptions, atHand: AtHand): Promise<Named> {
  const { prompt, negativePrompt = "", foregroundPrompt = "", backgroundPrompt = "", blendedPrompt = "" } = options;
  const prompts = [prompt, foregroundPrompt, backgroundPrompt, blendedPrompt];
  const files = await onShelf();
  const loras = chooseLoras(prompts, files, atHand.loras.map(nameOf));
  const embeddings = chooseEmbeddings([...prompts, negativePrompt], files, atHand);
  return {
    loras: await Promise.all(loras.found.map(toLora)),
    embeddings: await Promise.all(embeddings.found.map(toEmbedding)),
    warnings: [...loras.warnings, ...embeddings.warnings],
  };
}

interface Choice {
  readonly found: readonly ShelfRecord[];
  readonly warnings: readonly string[];
}

/** The LoRAs that tags of the prompts name, as the engine reads them. */
function chooseLoras(prompts: readonly string[], files: readonly ShelfRecord[], given: readonly string[]): Choice {
  const tags = prompts.flatMap((prompt) => [...prompt.matchAll(/<(?:lora|lyco):([^:>]+)[^>]*>/g)]);
  const names = [...new Set(tags.map(([, name = ""]) => name.trim()))].filter((name) => !given.some((each) => isSameName(each, name)));
  const own = files.filter(({ kind }) => kind === "lora");
  const found = names.flatMap((name) => called(own, name) ?? []);
  const unknown = own.length === 0 ? [] : names.filter((name) => !called(own, name));
  const there = own.map(({ name }) => name).join(", ");
  return { found: [...new Set(found)], warnings: unknown.map((name) => `no LoRA on the shelf is called ${name}: there are ${there}`) };
}

/** The embeddings whose names are words of the prompts. One that does not fit is a word as any other. */
function chooseEmbeddings(prompts: readonly string[], files: readonly ShelfRecord[], { embeddings, embeddingWidth }: AtHand): Choice {
  const text = plain(prompts.join("\n"));
  const given = embeddings.map(nameOf);
  const named = files.filter(
    ({ kind, name }) => kind === "embedding" && hasWord(text, plain(name)) && !given.some((each) => isSameName(each, name)),
  );
  const fits = ({ width }: ShelfRecord): boolean => width === embeddingWidth;
  const misfits = named.filter((file) => !fits(file));
  return {
    found: named.filter(fits),
    warnings: misfits.map(
      ({ name, width }) => `the embedding ${name} on the shelf is not used: its vectors have ${width} numbers and the model's ${embeddingWidth}`,
    ),
  };
}

/** Whether a word stands in a text by itself, which the engine decides once more. */
function hasWord(text: string, word: string): boolean {
  const letter = "[\\p{Alphabetic}\\p{N}_]";
  const isLetter = new RegExp(letter, "u");
  const letters = [...word];
  const [before, after] = [letters[0], letters.at(-1)].map((end = "") => isLetter.test(end));
  const escaped = word.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
  return new RegExp(`${before ? `(?<!${letter})` : ""}${escaped}${after ? `(?!${letter})` : ""}`, "u").test(text);
}

/** What prompts call a file that is given. */
function nameOf({ name, file }: RawLora | RawEmbedding): string {
  return name ?? file.slice(file.lastIndexOf("/") + 1).replace(/\.[^.]*$/, "");
}

/** Of no strength but that of the prompt's tags. */
async function toLora(record: ShelfRecord): Promise<RawLora> {
  return { ...(await read(record)), name: record.name, hash: undefined, strength: 0, textEncoderStrength: 0 };
}

async function toEmbedding(record: ShelfRecord): Promise<RawEmbedding> {
  return { ...(await read(record)), name: record.name };
}
