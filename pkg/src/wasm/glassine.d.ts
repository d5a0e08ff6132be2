// The exports of the engine (built from the Rust crate by scripts/build into
// dist/wasm), as its src/web promises them.

import type { EngineInfo, MemoryEstimate, Mode, Vae } from "../public/types.js";
import type {
  EngineEvent,
  EngineRequest,
  RawGenerated,
  RawLatent,
  RawLayer,
  RawLora,
  RawPackOptions,
  RawPicture,
  RawRaster,
} from "../internal/protocol.js";

/**
 * Reads one file of the model pack: "manifest.json" or the name of a shard;
 * `again` if the file was read before and is damaged.
 */
export type Read = (path: string, again?: boolean) => Promise<Uint8Array>;

/** Is awaited at least once per shard, denoising step and decode pass; `false` aborts. */
export type Report = (event: EngineEvent) => Promise<boolean>;

export default function init(options: {
  module_or_path: Response | Promise<Response>;
}): Promise<{ __wbindgen_externrefs: WebAssembly.Table }>;

/**
 * Packs files of a page as model `name`. `read` gives bytes of one of them at
 * once. `store` is written the shards and, last, "manifest.json"; `report` is
 * awaited after each tensor, and `false` aborts.
 */
export function pack_files(
  name: string,
  options: RawPackOptions,
  files: { path: string; length: number }[],
  read: (index: number, start: number, end: number) => Uint8Array,
  store: {
    write(file: string, bytes: Uint8Array<ArrayBuffer>): Promise<void>;
    read(file: string): Promise<Uint8Array<ArrayBuffer>>;
  },
  report: (event: { loadedBytes: number; totalBytes: number }) => Promise<boolean>,
): Promise<void>;

/** What a picture takes of a GPU's memory; the pack's defaults fill in what is left out. */
export function estimate_gpu_memory(
  manifest: Uint8Array,
  mode: Mode | undefined,
  width: number | undefined,
  height: number | undefined,
): MemoryEstimate;

export class WasmEngine {
  private constructor();
  static load(
    read: Read,
    device: "webgpu" | "cpu",
    loras: RawLora[],
    memoryLimit: number,
    report: Report,
  ): Promise<WasmEngine>;
  info(): EngineInfo;
  generate(request: EngineRequest, report: Report): Promise<RawGenerated>;
  encode(picture: RawPicture, report: Report): Promise<RawLatent>;
  decode(latent: RawLatent, vae: Vae, passes: number, report: Report): Promise<RawLayer[]>;
  free(): void;
}

export class WasmScene {
  /** Reads a scene file's text; the pictures, under their paths, are read when they are asked for. */
  constructor(json: string, pictures: Map<string, RawPicture>);
  flatten(): RawRaster;
  /** The bytes of an OpenRaster file; it needs the pictures of hidden layers, too. */
  ora(): Uint8Array<ArrayBuffer>;
  /** As `ora`, of a PSD file. */
  psd(): Uint8Array<ArrayBuffer>;
  free(): void;
}
