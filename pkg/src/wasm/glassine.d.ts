// The exports of the engine (built from the Rust crate by scripts/build into
// dist/wasm), as its src/web promises them.

import type { EngineInfo, Vae } from "../public/types.js";
import type {
  EngineEvent,
  EngineRequest,
  RawGenerated,
  RawLatent,
  RawLayer,
  RawLora,
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
}): Promise<unknown>;

export class WasmEngine {
  private constructor();
  static load(read: Read, device: "webgpu" | "cpu", loras: RawLora[], report: Report): Promise<WasmEngine>;
  info(): EngineInfo;
  generate(request: EngineRequest, report: Report): Promise<RawGenerated>;
  encode(picture: RawPicture, report: Report): Promise<RawLatent>;
  decode(latent: RawLatent, vae: Vae, passes: number, report: Report): Promise<RawLayer[]>;
  free(): void;
}

export class WasmScene {
  /** Reads a scene file's text and, from paths, the pictures of its visible layers. */
  constructor(json: string, pictures: Map<string, RawPicture>);
  flatten(): RawRaster;
  free(): void;
}
