/** Models in the browser's storage: kept for offline use, and loaded by name. */
import { callOnce } from "./internal/page/models-worker.js";
import { toPackRequest } from "./internal/page/pack-request.js";
import { miniBytes } from "./internal/page/mini-names.js";
import { abortable, never } from "./internal/page/abortable.js";
import { checkKind, checkKinds, checkOptions } from "./internal/page/check-options.js";
import { askToPersist, checkConcurrency, checkModelName, explainMissing, locate, packUrl } from "./internal/page/model.js";
import { withLock } from "./internal/shared/locks.js";
import { undoPacking } from "./internal/shared/undo-packing.js";
import { fetchBytes } from "./internal/shared/fetch.js";
import { manifestFile, parseManifest } from "./internal/shared/manifest.js";
import { ModelFolder, packNameOf } from "./internal/shared/store.js";
import { modes } from "./public/generated.js";
import { shelf } from "./public/shelf.js";
import type {
  EstimateOptions,
  ImportOptions,
  ModelEstimate,
  PackOptions,
  StorageEstimate,
  StoredModel,
  Verification,
  VerifyOptions,
} from "./public/types.js";

export { configure, type AssetLocation, type Configuration } from "./public/configure.js";
export type {
  EstimateOptions,
  ImportOptions,
  MemoryEstimate,
  ModelEstimate,
  PackDefaults,
  PackLora,
  PackOptions,
  Quantization,
  ShelfFile,
  ShelfKind,
  ShelfListOptions,
  ShelfProgress,
  ShelveOptions,
  StorageEstimate,
  StorageOptions,
  StorageProgress,
  StoredModel,
  Verification,
  VerifyOptions,
} from "./public/types.js";

/** The models in the browser's storage, which all pages of an origin share. */
export const models = Object.freeze({
  /** The models that `createEngine` knows by name, and those whose import was interrupted. */
  async list(): Promise<StoredModel[]> {
    const mini = { name: "mini", bytes: miniBytes, builtIn: true, complete: true };
    // A folder can go while it is looked at: another tab removes it.
    const stored = (await ModelFolder.all()).map((folder) => folder.describe().catch(() => []));
    return [mini, ...(await Promise.all(stored)).flat()];
  },

  /** Stores a model: the pack at a URL, or one that is made here of a checkpoint's files. */
  import: importModel,

  /**
   * What `import` calls a model that it is given no name for: after the pack at the URL, whose manifest is fetched for
   * it, or after the file or folder. An import replaces a model of that name.
   *
   * @throws GlassineError `bad_option`, `model_not_found`, `model_damaged`, `model_unsupported`, `network`, `aborted`.
   */
  async nameOf(
    from: string | URL | Blob | Iterable<File>,
    options: { signal?: AbortSignal | undefined } = {},
  ): Promise<string> {
    const { signal = never() } = checkOptions("models.nameOf", options, ["signal"]);
    if (typeof from !== "string" && !(from instanceof URL)) return toPackRequest(from, {}).name;
    const url = packUrl(from);
    const bytes = abortable(signal, fetchBytes(new URL(manifestFile, url), { signal, cache: "no-cache" }));
    return packNameOf(parseManifest(await bytes, url.href).name);
  },

  /**
   * Computes the SHA-256 of every file of a stored model.
   *
   * @throws GlassineError `model_not_found` if there is none of that name, `storage_unavailable`, `aborted`; for a
   * repair that fails `network`, `model_damaged`, `quota_exceeded` or `io`.
   */
  async verify(name: string, options: VerifyOptions = {}): Promise<Verification> {
    const { repair = false, ...others } = checkOptions("models.verify", options, ["repair", ...storageOptions]);
    checkKind("repair", repair, "flag");
    checkModelName(name);
    return callOnce("verify", { name, repair }, others);
  },

  /**
   * Removes a stored model, or what an interrupted import has left of it, once nobody loads or stores it. Gives whether
   * there was any.
   *
   * @throws GlassineError `bad_option` for what can be no name, `aborted`.
   */
  async remove(name: string, options: { signal?: AbortSignal | undefined } = {}): Promise<boolean> {
    const { signal = never() } = checkOptions("models.remove", options, ["signal"]);
    checkModelName(name);
    if (!(await ModelFolder.find(name))) return false;
    const work = async (): Promise<boolean> => {
      const found = (await ModelFolder.find(name)) !== undefined;
      if (found) await ModelFolder.remove(name);
      return found;
    };
    return abortable(signal, withLock(name, { mode: "exclusive", signal }, work));
  },

  /** What the browser grants this page's origin, and what a model takes. */
  estimate,

  /** LoRAs, embeddings and ControlNets, kept beside the models: for prompts and requests by their names. */
  shelf,
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
 * `.safetensors` or `.ckpt` file or the files of a diffusers folder, and stores the pack:
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
  if (options.name !== undefined) checkModelName(options.name);
  const byUrl = typeof from === "string" || from instanceof URL;
  return byUrl ? importPack(from, options) : importFiles(from, options);
}

async function importPack(url: string | URL, options: ImportOptions): Promise<StoredModel> {
  const { name, concurrency = 4, ...others } = checkOptions("models.import of a URL", options, importOptions);
  checkConcurrency(concurrency);
  askToPersist();
  return callOnce("import", { origin: packUrl(url).href, name, concurrency }, others);
}

async function importFiles(files: Blob | Iterable<File>, options: PackOptions): Promise<StoredModel> {
  const request = toPackRequest(files, options);
  askToPersist();
  try {
    return await callOnce("pack", request, options);
  } catch (error) {
    await cleanUp(request.name);
    throw error;
  }
}

/** Removes what a worker that died has left. Its lock and its files are free a moment after its end. */
async function cleanUp(name: string): Promise<void> {
  for (let attempt = 0; attempt < 10 && (await ModelFolder.find(name)); attempt++) {
    if (await undoPacking(name).catch(() => false)) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** What the browser grants this page's origin; zeros where it does not say. */
async function estimate(): Promise<StorageEstimate>;
/**
 * The same, and what a model takes: a stored one by its name, any other by the
 * URL of its pack. No weights are fetched for it.
 *
 * @throws GlassineError `bad_option`, `model_not_found`, `model_damaged`, `model_unsupported`, `network`, `aborted`.
 */
async function estimate(model: string | URL, options?: EstimateOptions): Promise<ModelEstimate>;
async function estimate(
  model?: string | URL,
  options: EstimateOptions = {},
): Promise<StorageEstimate | ModelEstimate> {
  const { signal = never(), ...size } = checkOptions("models.estimate", options, ["signal", ...Object.keys(estimateKinds)]);
  checkKinds(size, estimateKinds);
  const storage = globalThis.navigator?.storage;
  const { usage = 0, quota = 0 } = (await storage?.estimate()) ?? {};
  const granted = { usage, quota, persisted: (await storage?.persisted?.()) ?? false };
  if (model === undefined) return granted;
  const { mode, width, height } = size;
  try {
    const answer = await callOnce("estimate", { model: await locate(model), mode, width, height }, { signal });
    return { ...granted, ...answer };
  } catch (error) {
    throw await explainMissing(model, error);
  }
}

const storageOptions = ["signal", "onProgress"];

const importOptions = ["name", "concurrency", ...storageOptions];

const estimateKinds = { mode: modes, width: "whole", height: "whole" } as const;
