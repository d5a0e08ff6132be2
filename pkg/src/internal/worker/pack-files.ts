// Storing the pack that is made of a page's own files, in the worker.

import { GlassineError } from "../../public/errors.js";
import type { StoredModel } from "../../public/types.js";
import { pack_files } from "../../wasm/glassine.js";
import type { PackRequest, StorageTask } from "../shared/protocol.js";
import { readSlice } from "./read-slice.js";
import { yieldToEventLoop } from "./yield-to-event-loop.js";
import { withLock } from "../shared/locks.js";
import { manifestFile } from "../shared/manifest.js";
import { sha256 } from "../shared/sha256.js";
import { undoPackings } from "../shared/undo-packing.js";
import { Staging } from "./staging.js";

/** Packs files and stores the pack, whole or not at all. */
export async function packFiles(request: PackRequest, task: StorageTask): Promise<StoredModel> {
  const { name, files, options } = request;
  await undoPackings();
  const lock = { mode: "exclusive", signal: task.signal, onWait: () => task.report({ phase: "waiting" }) } as const;
  return withLock(name, lock, async () => {
    const staging = await Staging.open(name);
    try {
      await staging.checkRoom(estimateBytes(request));
      const store = new PackStore(staging);
      const lengths = files.map(({ path, file }) => ({ path, length: file.size }));
      const read = (index: number, start: number, end: number): Uint8Array => readSlice(files[index]!.file, start, end);
      await pack_files(name, options, lengths, read, store.methods, async ({ loadedBytes, totalBytes }) => {
        task.report({ phase: "packing", loadedBytes, totalBytes });
        await yieldToEventLoop();
        return !task.signal.aborted;
      });
      return await staging.commit(store.manifest);
    } catch (error) {
      // What went wrong first is what is told.
      await staging.discard().catch(() => {});
      throw error;
    }
  });
}

/** Where the packer writes and reads again, by file names of the pack. */
class PackStore {
  readonly #staging: Staging;
  readonly #shards = new Map<string, string>();
  #manifest: Uint8Array<ArrayBuffer> | undefined;

  constructor(staging: Staging) {
    this.#staging = staging;
  }

  get manifest(): Uint8Array<ArrayBuffer> {
    if (this.#manifest) return this.#manifest;
    throw new GlassineError("internal", "the packer has written no manifest");
  }

  readonly methods = {
    write: async (file: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> => {
      // The manifest makes the model exist: that is for the staging to do.
      if (file === manifestFile) {
        this.#manifest = bytes;
        return;
      }
      const name = await sha256(bytes);
      await this.#staging.write(name, bytes);
      this.#shards.set(file, name);
    },
    read: async (file: string): Promise<Uint8Array<ArrayBuffer>> => this.#staging.read(this.#shards.get(file) ?? file),
  };
}

/** Bytes for each weight of Stable Diffusion 1.5, on average. */
const bytesPerWeight = { q4: 0.75, q8: 1, f16: 2 };

/** What the pack will take, about. */
function estimateBytes({ files, options: { model, quantize } }: PackRequest): number {
  const read = files.filter(({ path }) => isRead(path, model, files));
  // What PyTorch's files hold, the packer alone can tell: at least this much, if they are of 32 bits.
  const isTorch = (path: string): boolean => /\.(ckpt|pt|pth|bin)$/i.test(path);
  const weights = read.reduce((sum, { file, path }) => sum + (isTorch(path) ? file.size / 4 : countWeights(file)), 0);
  return Math.ceil(weights * bytesPerWeight[quantize]);
}

/** Where diffusers has the weights that a pack holds, whole or in shards, and what variant they are. */
const weightFiles =
  /^((?:text_encoder\/)?model|(?:(?:unet|vae)\/)?diffusion_pytorch_model)(\.\w+)?(-\d+-of-\d+)?\.safetensors$/;

/** Whether the packer wants a file: a model's folder often holds other parts, and the same ones in other forms. */
function isRead(path: string, model: string, files: PackRequest["files"]): boolean {
  const weights = (path: string): RegExpExecArray | null =>
    path.startsWith(`${model}/`) ? weightFiles.exec(path.slice(model.length + 1)) : null;
  if (!path.startsWith(`${model}/`)) return true;
  const own = weights(path);
  if (!own) return false;
  // Of several variants, the packer reads the first of this order.
  const variants = files.map((file) => weights(file.path)).filter((other) => other?.[1] === own[1]);
  return variants.every((other) => variantRank(own[2]) <= variantRank(other?.[2]));
}

function variantRank(variant = ""): number {
  const rank = ["", ".fp16", ".bf16", ".fp32", ".ema", ".non_ema"].indexOf(variant);
  return rank < 0 ? Infinity : rank;
}

/** The number of values in a .safetensors file, by its header; 0 for any other file. */
function countWeights(file: Blob): number {
  try {
    const start = readSlice(file, 0, 8);
    const end = 8 + Number(new DataView(start.buffer).getBigUint64(0, true));
    const header = JSON.parse(new TextDecoder().decode(readSlice(file, 8, Math.min(end, maxHeaderEnd)))) as Header;
    const shapes = Object.entries(header).map(([name, { shape }]) => (name.startsWith("model_ema.") ? [0] : (shape ?? [0])));
    return shapes.reduce((sum, shape) => sum + shape.reduce((product, side) => product * side, 1), 0);
  } catch {
    // What is wrong with a file is the packer's to say.
    return 0;
  }
}

type Header = Record<string, { shape?: number[] }>;

const maxHeaderEnd = 100 * 2 ** 20;
