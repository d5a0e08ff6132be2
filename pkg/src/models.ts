/** Models in the browser's storage: kept for offline use, and loaded by name. */
import { callOnce } from "./internal/connection.js";
import { toPackRequest } from "./internal/files.js";
import { miniBytes } from "./internal/mini.js";
import { abortError } from "./internal/queue.js";
import { packUrl } from "./internal/sources.js";
import { estimatePack } from "./internal/storage/estimating.js";
import { withLock } from "./internal/storage/locks.js";
import { isComplete, isModelName, ModelFolder } from "./internal/storage/store.js";
import { GlassineError } from "./public/errors.js";
import type {
  LoraOption,
  MemoryEstimate,
  Mode,
  Quantization,
  StorageProgress,
  Verification,
} from "./public/types.js";

export type { MemoryEstimate, Quantization, StorageProgress, Verification };

/** A model that `createEngine` knows by its name. */
export interface StoredModel {
  /** What to give as `model` to `createEngine`. */
  readonly name: string;
  /** The size of its files that are here. */
  readonly bytes: number;
  /** Whether it comes with the package. */
  readonly builtIn: boolean;
  /** False after an import that was interrupted: the next one goes on with what is here. */
  readonly complete: boolean;
  /** The URL that it was imported from; a model made of files has none. */
  readonly origin?: string | undefined;
}

/** How much this page's origin may store and has stored, in bytes; as the browser estimates it. */
export interface StorageEstimate {
  readonly usage: number;
  readonly quota: number;
  /** Whether the browser has promised not to remove what is stored when the disk is full. */
  readonly persisted: boolean;
}

/** What a model takes, in bytes. */
export interface ModelEstimate extends StorageEstimate {
  /** The model's name for itself. */
  readonly name: string;
  /** The length of all its shards. */
  readonly totalBytes: number;
  /** How much of that is not stored here yet. */
  readonly downloadBytes: number;
  /** What a picture takes of a GPU's memory. */
  readonly gpuMemory: MemoryEstimate;
}

/** What picture an estimate is for; the model's defaults where left out. */
export interface EstimateOptions {
  mode?: Mode | undefined;
  width?: number | undefined;
  height?: number | undefined;
  signal?: AbortSignal | undefined;
}

/** What the calls here take. */
export interface StorageOptions {
  signal?: AbortSignal | undefined;
  onProgress?: ((progress: StorageProgress) => void) | undefined;
}

export interface ImportOptions extends StorageOptions {
  /** What to call the model: letters, digits, `_`, `.` and `-`. The pack's own name if left out. */
  name?: string | undefined;
  /** How many shards to fetch at a time, 1 to 16; 4 if left out. */
  concurrency?: number | undefined;
}

/** How files become a pack, as `glassine pack` makes it, and which files belong to the checkpoint. */
export interface PackOptions extends StorageOptions {
  /** What to call the model: letters, digits, `_`, `.` and `-`. As the file or folder if left out. */
  name?: string | undefined;
  /** `"q4"` if left out: the smallest, and nearest to what a visitor's memory holds. */
  quantize?: Quantization | undefined;
  /** A `vae_transparent_decoder` file. */
  transparencyDecoder?: Blob | undefined;
  /** A `vae_transparent_encoder` file. */
  transparencyEncoder?: Blob | undefined;
  /** LayerDiffuse's attention files: `attn` for mode `"single"`, and one for each mode of several layers. */
  layers?: { [Kind in "attn" | "joint" | "fg2bg" | "bg2fg"]?: Blob | undefined } | undefined;
  /** Merged into the model for good, one after the other. */
  loras?: readonly (Omit<LoraOption, "file"> & { file: Blob })[] | undefined;
  /** The files of a ControlNet's folder in diffusers' layout. */
  controlnet?: Iterable<File> | undefined;
  /** A `taesd_decoder` file. */
  taesdDecoder?: Blob | undefined;
  /** A `taesd_encoder` file. */
  taesdEncoder?: Blob | undefined;
  /** Whether the model itself was trained on transparent pictures and needs no `attn`. */
  nativeTransparency?: boolean | undefined;
}

export interface VerifyOptions extends StorageOptions {
  /** Fetch missing and damaged files again from where the model came from. */
  repair?: boolean | undefined;
}

export const models = Object.freeze({
  /** The models that `createEngine` knows by name, and those whose import was interrupted. */
  async list(): Promise<StoredModel[]> {
    const mini = { name: "mini", bytes: miniBytes, builtIn: true, complete: true };
    // A folder can go while it is looked at: another tab removes it.
    const stored = (await ModelFolder.all()).map((folder) => describe(folder).catch(() => []));
    return [mini, ...(await Promise.all(stored)).flat()];
  },

  import: importModel,

  /** Computes the SHA-256 of every file of a stored model. Rejects if there is none of that name, or if a repair fails. */
  async verify(name: string, options: VerifyOptions = {}): Promise<Verification> {
    const { repair = false, ...others } = options;
    checkName(name);
    return callOnce("verify", { name, repair }, others);
  },

  /** Removes a stored model, or what an interrupted import has left of it. Gives whether there was any. */
  async remove(name: string, { signal = never() }: { signal?: AbortSignal | undefined } = {}): Promise<boolean> {
    checkName(name);
    if (!(await ModelFolder.find(name))) return false;
    const work = async (): Promise<boolean> => {
      const found = (await ModelFolder.find(name)) !== undefined;
      if (found) await ModelFolder.remove(name);
      return found;
    };
    return abortable(signal, withLock(name, { mode: "exclusive", signal }, work));
  },

  estimate,
});

/**
 * Fetches the pack at a URL and stores it. What an interrupted import has left
 * is used: a shard that is here is not fetched again. A model of the same name
 * is replaced, once the new one is complete. Nothing is stored unchecked.
 *
 * @throws GlassineError `network`, `model_not_found`, `model_damaged`,
 * `model_unsupported`, `quota_exceeded`, `storage_unavailable`, `aborted`.
 */
async function importModel(url: string | URL, options?: ImportOptions): Promise<StoredModel>;
/**
 * Packs a checkpoint of Stable Diffusion 1.5 here in the browser, a
 * `.safetensors` file or the files of a diffusers folder, and stores the pack:
 * the shards that `glassine pack` makes, byte for byte. Files are read in pieces, and
 * nothing leaves the page. A model of the same name is replaced once the new one
 * is complete; an import that fails leaves nothing.
 *
 * @throws GlassineError `bad_option`, `model_not_found`, `model_damaged`,
 * `model_unsupported`, `quota_exceeded`, `storage_unavailable`, `io`, `aborted`.
 */
async function importModel(files: Blob | Iterable<File>, options?: PackOptions): Promise<StoredModel>;
async function importModel(
  from: string | URL | Blob | Iterable<File>,
  options: ImportOptions & PackOptions = {},
): Promise<StoredModel> {
  if (options.name !== undefined) checkName(options.name);
  const byUrl = typeof from === "string" || from instanceof URL;
  const name = await (byUrl ? importPack(from, options) : importFiles(from, options));
  const folder = await ModelFolder.find(name);
  if (!folder) throw new GlassineError("io", `the model "${name}" was removed as soon as it was stored`);
  return describe(folder);
}

async function importPack(url: string | URL, { name, concurrency = 4, ...others }: ImportOptions): Promise<string> {
  if (!Number.isInteger(concurrency) || concurrency < 1 || concurrency > 16) {
    throw new GlassineError("bad_option", `concurrency must be a whole number from 1 to 16, not ${concurrency}`);
  }
  askToPersist();
  return callOnce("import", { origin: packUrl(url).href, name, concurrency }, others);
}

async function importFiles(files: Blob | Iterable<File>, options: PackOptions): Promise<string> {
  const request = toPackRequest(files, options);
  askToPersist();
  return callOnce("pack", request, options);
}

/** The answer can take as long as the visitor likes, and no import depends on it. */
function askToPersist(): void {
  void globalThis.navigator?.storage?.persist?.().catch(() => false);
}

/** What the browser grants this page's origin; zeros where it does not say. */
async function estimate(): Promise<StorageEstimate>;
/**
 * The same, and what a model takes: a stored one by its name, any other by the
 * URL of its pack. No weights are fetched for it.
 */
async function estimate(model: string, options?: EstimateOptions): Promise<ModelEstimate>;
async function estimate(
  model?: string,
  { signal = never(), mode, width, height }: EstimateOptions = {},
): Promise<StorageEstimate | ModelEstimate> {
  const storage = globalThis.navigator?.storage;
  const { usage = 0, quota = 0 } = (await storage?.estimate()) ?? {};
  const granted = { usage, quota, persisted: (await storage?.persisted?.()) ?? false };
  if (model === undefined) return granted;
  const { manifest, ...sizes } = await abortable(signal, estimatePack(model, signal));
  const gpuMemory = await callOnce("estimate", { manifest, mode, width, height }, { signal });
  return { ...granted, ...sizes, gpuMemory };
}

/** A signal that does not fire. */
function never(): AbortSignal {
  return new AbortController().signal;
}

/** Gives every failure after an abort the error that the caller expects. */
async function abortable<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  return promise.catch((error: unknown) => {
    throw signal.aborted ? abortError(signal.reason) : error;
  });
}

async function describe(folder: ModelFolder): Promise<StoredModel> {
  const [record, sizes] = [await folder.record(), await folder.sizes()];
  return {
    name: folder.name,
    bytes: [...sizes.values()].reduce((sum, bytes) => sum + bytes, 0),
    builtIn: false,
    complete: isComplete(record),
    origin: record?.origin,
  };
}

function checkName(name: string): void {
  if (typeof name === "string" && isModelName(name)) return;
  throw new GlassineError("bad_option", `no stored model can be called "${String(name)}"`, {
    hint: 'A name has up to 64 letters, digits, "_", "." and "-", and "mini" is taken by the model in this package.',
  });
}
