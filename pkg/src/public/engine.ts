/// <reference lib="esnext.disposable" preserve="true" />
import { Connection } from "../internal/connection.js";
import type { Calls, EngineRequest, RawLatent, RawPicture } from "../internal/protocol.js";
import { Queue } from "../internal/queue.js";
import { toSource, type PackSource } from "../internal/sources.js";
import { GlassineError } from "./errors.js";
import { Layer } from "./layer.js";
import type {
  CreateEngineOptions,
  DecodeOptions,
  Device,
  EngineInfo,
  GenerateOptions,
  Latent,
  Picture,
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
  readonly #source: PackSource;
  readonly #queue = new Queue();
  #connection: Connection;
  #disposed = false;

  /** @internal Use `createEngine`. */
  constructor(source: PackSource, connection: Connection, info: EngineInfo) {
    this.#source = source;
    this.#connection = connection;
    this.info = info;
  }

  /** Turns a prompt into layers. */
  async generate(options: GenerateOptions): Promise<GenerateResult> {
    if (typeof options?.prompt !== "string") {
      throw new GlassineError("bad_option", "prompt must be a string");
    }
    const request = toRequest(options).then((options) => ({ options }));
    const answer = await this.#call("generate", request, options);
    return { ...answer, layers: answer.layers.map((raw) => new Layer(raw)) };
  }

  /**
   * Encodes a picture into a latent that `decode` takes, hiding its alpha in it
   * where the model has a transparency encoder. Its sides must be multiples of 8.
   */
  async encode(image: Picture, options: RequestOptions = {}): Promise<Latent> {
    return this.#call("encode", toRawPicture(image).then((picture) => ({ picture })), options);
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
    request: Calls[Type]["request"] | Promise<Calls[Type]["request"]>,
    options: RequestOptions,
  ): Promise<Calls[Type]["answer"]> {
    // A request that never comes to its turn must not count as an unhandled rejection.
    Promise.resolve(request).catch(() => {});
    if (this.#disposed) throw disposed();
    return this.#queue.add(async () => {
      if (this.#connection.closed) {
        this.#connection = new Connection(this.#source);
        await this.#connection.call("load", { device: this.info.device }, options);
      }
      return this.#connection.call(type, await request, options);
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
  const source = await toSource(options?.model);
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

// Complete, by its type.
const requestOptions: Record<keyof EngineRequest, true> = {
  prompt: true,
  negativePrompt: true,
  mode: true,
  width: true,
  height: true,
  steps: true,
  guidance: true,
  seed: true,
  sampler: true,
  convention: true,
  decodePasses: true,
  previewEvery: true,
  noise: true,
  foregroundPrompt: true,
  backgroundPrompt: true,
  blendedPrompt: true,
  foreground: true,
  background: true,
  init: true,
  strength: true,
  fit: true,
};

async function toRequest(options: GenerateOptions): Promise<EngineRequest> {
  const { signal, onProgress, ...request } = options;
  const unknown = Object.keys(request).find((name) => !Object.hasOwn(requestOptions, name));
  if (unknown !== undefined) {
    throw new GlassineError("bad_option", `there is no option "${unknown}"`, {
      hint: `There are ${Object.keys(requestOptions).join(", ")}, signal and onProgress.`,
    });
  }
  const { foreground, background, init, ...others } = request;
  return {
    ...others,
    ...(foreground && { foreground: await toRawPicture(foreground) }),
    ...(background && { background: await toRawPicture(background) }),
    ...(init && { init: await toRawPicture(init) }),
  };
}

/** Copies a picture for the worker. Files are decoded there: a canvas would lose colour under alpha 0. */
async function toRawPicture(image: Picture): Promise<RawPicture> {
  if (image instanceof Blob) return new Uint8Array(await image.arrayBuffer());
  const pixels = image instanceof Layer ? image.imageData : image;
  if (!(pixels instanceof ImageData)) {
    throw new GlassineError("bad_image", "a given picture is not usable", {
      hint: "Give a Layer, an ImageData, or a Blob of a PNG, JPEG or WebP file.",
    });
  }
  return { width: pixels.width, height: pixels.height, rgba: new Uint8Array(pixels.data) };
}

function toRaw({ data, frames, width, height, mode, seed }: Latent): RawLatent {
  return { data, frames, width, height, mode, seed };
}

function disposed(): GlassineError {
  return new GlassineError("disposed", "the engine was disposed", { hint: "Make another with createEngine." });
}
