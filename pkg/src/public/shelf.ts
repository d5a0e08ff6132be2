import { abortable, never } from "../internal/page/abortable.js";
import { checkOptions, show } from "../internal/page/check-options.js";
import { callOnce } from "../internal/page/models-worker.js";
import { askToPersist, explainMissing, locate } from "../internal/page/model.js";
import { notFound } from "../internal/page/shelved.js";
import { theShelf, withLock } from "../internal/shared/locks.js";
import { called, isShelfName, onShelf, Shelf } from "../internal/shared/shelf.js";
import { GlassineError } from "./errors.js";
import type { ShelfFile, ShelfListOptions, ShelveOptions } from "./types.js";

/**
 * LoRAs, embeddings and ControlNets in the browser's storage, which all pages of an origin share. Requests and
 * `createEngine` take LoRAs and embeddings from it by their names, and so do prompts.
 */
export const shelf = Object.freeze({
  /**
   * Puts a file on the shelf, once all of it is found to be a LoRA, an embedding or a ControlNet that can be used. A file
   * that is there already is kept once, under the name that it has. An addition that fails leaves nothing.
   *
   * @example
   * ```ts
   * const { name, triggerWords } = await models.shelf.add(input.files[0]);
   * const { layers } = await engine.generate({ prompt: `a fox, ${triggerWords.join(", ")} <lora:${name}:0.8>` });
   * ```
   * @throws GlassineError `bad_option` for a name that another file has or none can have, `model_unsupported` for what is
   * no such file, `model_damaged`, `quota_exceeded`, `storage_unavailable`, `io`, `aborted`.
   */
  async add(file: Blob, options: ShelveOptions = {}): Promise<ShelfFile> {
    const { name, ...others } = checkOptions("models.shelf.add", options, ["name", "signal", "onProgress"]);
    if (!(file instanceof Blob)) {
      throw new GlassineError("bad_option", `models.shelf.add takes a file, not ${show(file)}`, { hint: "Give a File or a Blob." });
    }
    if (name !== undefined && !isShelfName(name)) throw badName(name);
    // Files that come in a folder may be named by their paths.
    const fileName = file instanceof File ? file.name.slice(file.name.lastIndexOf("/") + 1) : name;
    if (!fileName) throw new GlassineError("bad_option", "a file without a name cannot be found again", { hint: "Give a name." });
    askToPersist();
    try {
      return await callOnce("shelve", { file, fileName, name }, others);
    } catch (error) {
      // A worker that died has undone nothing.
      await onShelf().catch(() => []);
      throw error;
    }
  },

  /**
   * The files on the shelf, by name. With a `model`, each that does not fit it says why in `misfit`.
   *
   * @throws GlassineError `aborted`; for a `model` what `models.estimate` throws.
   */
  async list(options: ShelfListOptions = {}): Promise<ShelfFile[]> {
    const { model, signal = never() } = checkOptions("models.shelf.list", options, ["model", "signal"]);
    const files = await abortable(signal, onShelf());
    if (model === undefined || files.length === 0) return files;
    try {
      const misfits = await callOnce("misfits", { model: await locate(model) }, { signal });
      return files.map((file) => ({ ...file, ...(misfits[file.sha256] !== undefined && { misfit: misfits[file.sha256] }) }));
    } catch (error) {
      throw await explainMissing(model, error);
    }
  },

  /**
   * A file of the shelf, for instance a ControlNet for `models.import`. It is read as it is used, and only while it is
   * on the shelf.
   *
   * @throws GlassineError `model_not_found`, `model_damaged`.
   */
  async open(name: string): Promise<File> {
    const files = await onShelf();
    const record = called(files, String(name));
    if (!record) throw notFound(undefined, String(name), files);
    const file = await (await Shelf.find())?.open(record);
    if (file) return file;
    throw new GlassineError("model_damaged", `the file "${record.name}" on the shelf is damaged`, {
      hint: `Remove it with models.shelf.remove(${JSON.stringify(record.name)}), and add it again.`,
    });
  },

  /**
   * Takes a file off the shelf. Gives whether there was one of that name.
   *
   * @throws GlassineError `bad_option` for what can be no name, `aborted`.
   */
  async remove(name: string, options: { signal?: AbortSignal | undefined } = {}): Promise<boolean> {
    const { signal = never() } = checkOptions("models.shelf.remove", options, ["signal"]);
    if (!isShelfName(name)) throw badName(name);
    if (!called(await onShelf(), name)) return false;
    const work = async (): Promise<boolean> => {
      const shelf = await Shelf.find();
      const record = shelf && called((await shelf.content()).files, name);
      if (record) await shelf.takeOff(record.sha256);
      return record !== undefined;
    };
    return abortable(signal, withLock(theShelf, { mode: "exclusive", signal }, work));
  },
});

function badName(name: unknown): GlassineError {
  return new GlassineError("bad_option", `no file of the shelf can be called ${show(name)}`, {
    hint: 'A name has 1 to 128 letters, none of them "<", ">", ":", "/" or "\\", and no space at its ends.',
  });
}
