/// <reference lib="esnext.disposable" preserve="true" />
import { Connection } from "../internal/connection.js";
import type { Calls, EngineRequest, RawLatent } from "../internal/protocol.js";
import { Queue } from "../internal/queue.js";
import { toSource } from "../internal/sources.js";
import { GlassineError } from "./errors.js";
import { Layer } from "./layer.js";
import type {
  CreateEngineOptions,
  DecodeOptions,
  Device,
  EngineInfo,
  GenerateOptions,
  Latent,
  ModelSource,
  RequestOptions,
} from "./types.js";

/** What `engine.generate` gives. */
export interface GenerateResult {
  /** The layers that the mode makes; one in mode `"single"`. */
  readonly layers: Layer[];
  /** The picture before decoding, to decode it again in another way. */
  readonly latent: Latent;
  /** Milliseconds that each phase took. */
  readonly timings: Readonly<Record<string, number>>;
}

// Older browsers have no Symbol.asyncDispose.
const asyncDispose: typeof Symbol.asyncDispose = Symbol.asyncDispose ?? Symbol.for("Symbol.asyncDispose");

/**
 * A model in a worker of its own. Requests run one at a time, in the order in
 * which they are made. If the GPU is lost or the engine fails, the request at
 * hand rejects and the next one starts the worker anew.
 */
export class Engine {
  /** What this engine holds and what it does by default. */
  readonly info: EngineInfo;
  readonly #source: ModelSource;
  readonly #queue = new Queue();
  #connection: Connection;
  #disposed = false;

  /** @internal Use `createEngine`. */
  constructor(source: ModelSource, connection: Connection, info: EngineInfo) {
    this.#source = source;
    this.#connection = connection;
    this.info = info;
  }

  /** Turns a prompt into layers. */
  async generate(options: GenerateOptions): Promise<GenerateResult> {
    if (typeof options?.prompt !== "string") {
      throw new GlassineError("bad_option", "prompt must be a string");
    }
    const answer = await this.#call("generate", { options: toRequest(options) }, options);
    return { ...answer, layers: answer.layers.map((raw) => new Layer(raw)) };
  }

  /** Decodes a latent of one frame into its layer. */
  async decode(latent: Latent, options: DecodeOptions = {}): Promise<Layer> {
    const [layer, ...others] = await this.#decode(latent, options, 1);
    if (!layer || others.length > 0) throw new GlassineError("internal", "one frame gave several layers");
    return layer;
  }

  /** Decodes a latent of any number of frames into its layers. */
  async decodeAll(latent: Latent, options: DecodeOptions = {}): Promise<Layer[]> {
    return this.#decode(latent, options);
  }

  /** Ends the worker and frees its memory. Requests that are not finished reject with code `"disposed"`. */
  async dispose(): Promise<void> {
    this.#disposed = true;
    this.#queue.clear(disposed());
    this.#connection.close(disposed());
  }

  /** For `await using engine = await createEngine(...)`. */
  async [asyncDispose](): Promise<void> {
    await this.dispose();
  }

  async #decode(latent: Latent, options: DecodeOptions, frames?: number): Promise<Layer[]> {
    if (!(latent?.data instanceof Float32Array)) {
      throw new GlassineError("bad_option", "the latent must be one that generate gave");
    }
    if (frames !== undefined && latent.frames !== frames) {
      throw new GlassineError("bad_option", `decode takes a latent of one frame, and this one has ${latent.frames}`, {
        hint: "Use decodeAll, which gives a layer for each frame.",
      });
    }
    const request = { latent: toRaw(latent), passes: options.passes ?? 8 };
    const layers = await this.#call("decode", request, options);
    return layers.map((raw) => new Layer(raw));
  }

  async #call<Type extends keyof Calls>(
    type: Type,
    request: Calls[Type]["request"],
    options: RequestOptions,
  ): Promise<Calls[Type]["answer"]> {
    if (this.#disposed) throw disposed();
    return this.#queue.add(async () => {
      if (this.#connection.closed) {
        this.#connection = new Connection(this.#source);
        await this.#connection.call("load", { device: this.info.device }, options);
      }
      return this.#connection.call(type, request, options);
    }, options.signal);
  }
}

/**
 * Starts the package's worker and loads a model into it.
 *
 * @example
 * ```ts
 * const engine = await createEngine({ model: "mini" });
 * const { layers } = await engine.generate({ prompt: "a red apple" });
 * const png = await layers[0].toBlob();
 * ```
 */
export async function createEngine(options: CreateEngineOptions): Promise<Engine> {
  const device = checkDevice(options?.device);
  const source = toSource(options?.model);
  const connection = new Connection(source);
  const info = await connection.call("load", { device }, options);
  return new Engine(source, connection, info);
}

function checkDevice(device: Device | "auto" = "auto"): Device | "auto" {
  if (device === "auto" || device === "webgpu" || device === "cpu") return device;
  throw new GlassineError("bad_option", `unknown device "${String(device)}"`, {
    hint: 'Use "auto", "webgpu" or "cpu".',
  });
}

function toRequest({ signal, onProgress, ...request }: GenerateOptions): EngineRequest {
  return request;
}

function toRaw({ data, frames, width, height, mode, seed }: Latent): RawLatent {
  return { data, frames, width, height, mode, seed };
}

function disposed(): GlassineError {
  return new GlassineError("disposed", "the engine was disposed", { hint: "Make another with createEngine." });
}
