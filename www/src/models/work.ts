// What is done with the models in the browser's storage: one thing at a time, with how far it is and what came of it.

import { batch, signal } from "@preact/signals";
import { GlassineError } from "glassine";
import { models, type StorageEstimate, type StorageOptions, type StorageProgress, type StoredModel } from "glassine/models";
import { megabytes } from "../megabytes.ts";
import { askToReplace } from "./replace.tsx";

/** The models that are there, once that is known. */
export const stored = signal<readonly StoredModel[]>([]);
export const storage = signal<StorageEstimate | undefined>(undefined);
export const isBusy = signal(false);
export const progress = signal<{ readonly text: string; readonly share: number }>({ text: "", share: 0 });
/** What went wrong, and what to do about it. */
export const failure = signal<{ readonly message: string; readonly hint: string } | undefined>(undefined);

let controller: AbortController | undefined;

export function cancelWork(): void {
  controller?.abort();
}

/** Does one thing at a time, shows how far it is, and what came of it once the list has it, too. */
async function run(task: (options: StorageOptions & { signal: AbortSignal }) => Promise<string>): Promise<void> {
  if (controller) return;
  controller = new AbortController();
  batch(() => {
    isBusy.value = true;
    failure.value = undefined;
    progress.value = { text: "Starting", share: 0 };
  });
  let outcome = "";
  try {
    const { signal } = controller;
    outcome = await task({ signal, onProgress: (event) => (progress.value = describe(event)) });
  } catch (error) {
    if (error instanceof GlassineError && error.code === "aborted") outcome = "Cancelled";
    else say(error);
  }
  await refresh();
  controller = undefined;
  batch(() => {
    isBusy.value = false;
    progress.value = { text: outcome, share: 0 };
  });
}

export function say(error: unknown): void {
  failure.value = error instanceof GlassineError ? error : { message: String(error), hint: "" };
}

/**
 * Imports a model in one way or another, once it is known whether it may take the place of one that is there. `name` is
 * what the visitor calls it, `from` what it is made of. Gives whether it is stored.
 */
export async function store(
  from: Parameters<typeof models.nameOf>[0],
  name: string | undefined,
  importModel: (name: string, options: StorageOptions) => Promise<StoredModel>,
): Promise<boolean> {
  let isStored = false;
  await run(async (options) => {
    const wanted = name ?? (await models.nameOf(from, { signal: options.signal }));
    const chosen = await freeName(wanted);
    if (chosen === undefined) return `${wanted} is as it was`;
    const made = await importModel(chosen, options);
    isStored = true;
    return `${made.name} is stored: it works without a network`;
  });
  return isStored;
}

/** The name itself, if no whole model has it; else what the visitor wants, which may be nothing. */
async function freeName(name: string): Promise<string | undefined> {
  const all = await models.list();
  const there = all.find((model) => model.name === name);
  // What is not complete is gone on with; the page's own is refused by the package.
  if (!there?.complete || there.builtIn) return name;
  const names = new Set(all.map((model) => model.name));
  let count = 2;
  while (names.has(besides(name, count))) count++;
  return askToReplace(there, besides(name, count));
}

/** Names have 64 letters at most. */
const besides = (name: string, count: number): string => `${name.slice(0, 58)}-${count}`;

export async function importPack(url: string, name?: string): Promise<boolean> {
  return store(url, name, (name, options) => models.import(url, { name, ...options }));
}

export async function verify(name: string, repair: boolean): Promise<void> {
  await run(async (options) => {
    const { intact, missing, damaged } = await models.verify(name, { repair, ...options });
    const found = missing.length + damaged.length;
    if (!intact) return `${name}: ${[...missing, ...damaged].join(", ")} must be repaired`;
    return found > 0 ? `${name} is whole again` : `${name} is whole`;
  });
}

export async function remove(name: string): Promise<void> {
  await run(async ({ signal }) => {
    await models.remove(name, { signal });
    return `${name} is removed`;
  });
}

/** Finds out what is stored; where that cannot be, says why. */
export async function refresh(): Promise<void> {
  try {
    const [list, estimate] = await Promise.all([models.list(), models.estimate()]);
    batch(() => {
      stored.value = list;
      storage.value = estimate;
    });
  } catch (error) {
    say(error);
  }
}

function describe(progress: StorageProgress): { text: string; share: number } {
  switch (progress.phase) {
    case "waiting":
      return { text: "Another tab is storing this model", share: 0 };
    case "checking": {
      const { checkedBytes, totalBytes } = progress;
      const text = `Checking ${megabytes(checkedBytes)} of ${megabytes(totalBytes)} MB`;
      return { text, share: checkedBytes / totalBytes };
    }
    case "downloading": {
      const { loadedBytes, totalBytes } = progress;
      const text = `${megabytes(loadedBytes)} of ${megabytes(totalBytes)} MB are here`;
      return { text, share: loadedBytes / totalBytes };
    }
    case "packing": {
      const { loadedBytes, totalBytes } = progress;
      const text = `Packing ${megabytes(loadedBytes)} of ${megabytes(totalBytes)} MB`;
      return { text, share: loadedBytes / totalBytes };
    }
  }
}
