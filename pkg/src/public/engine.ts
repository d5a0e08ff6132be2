/// <reference lib="esnext.disposable" preserve="true" />
import { type CallOptions, WorkerClient } from "../internal/page/worker-client.js";
import { checkKind, checkKinds, checkObject, checkOptions, type Kind, show } from "../internal/page/check-options.js";
import type { StartWorker } from "../internal/page/assets.js";
import { recordedControls } from "../internal/page/controls.js";
import { readLoras } from "../internal/page/loras.js";
import { defined } from "../internal/page/defined.js";
import { checkPicture, toPixels } from "../internal/page/pictures.js";
import type { Calls, ModelLocation, NamedLocation, RawGenerated, RawLatent } from "../internal/shared/protocol.js";
import { Queue } from "../internal/page/queue.js";
import { checkRequest, decodePasses, heard, sides, toRequest, unrecorded } from "../internal/page/request.js";
import { abortError } from "../internal/shared/abort-error.js";
import { askToPersist, checkConcurrency, checkModelName, explainMissing, locate } from "../internal/page/model.js";
import { GlassineError } from "./errors.js";
import { vaes } from "./generated.js";
import { Layer } from "./layer.js";
import type { Scene } from "./scene.js";
import type {
  AddLayerOptions,
  CreateEngineOptions,
  DecodeOptions,
  EngineInfo,
  EnlargeOptions,
  ExtendOptions,
  GenerateOptions,
  Latent,
  ModelSource,
  Picture,
  Progress,
  Recipe,
  RequestOptions,
  SceneLayer,
  StorageProgress,
  UsedLora,
} from "./types.js";

/** How a model is loaded, and loaded again if its worker ends. */
type LoadSettings = Omit<Calls["load"]["request"], "device">;

/** What `engine.generate` gives. */
export interface GenerateResult {
  /** The layers that the mode makes, at least one; one in mode `"single"`. With `count`, those of each picture in turn. */
  readonly layers: [Layer, ...Layer[]];
  /** The picture before decoding, to decode it again in another way; of several pictures the first. */
  readonly latent: Latent;
  /** Those of all pictures, as many as `count`. */
  readonly latents: readonly Latent[];
  /** The names of the embeddings that the prompts name. */
  readonly embeddings: readonly string[];
  /** The LoRAs that it was made with, the engine's own first, as strong as prompts and options made them. */
  readonly loras: readonly UsedLora[];
  /** What the request says that has no effect, such as `<lora:...>` of a LoRA that is not there; for people to read. */
  readonly warnings: readonly string[];
  /** Milliseconds by phase: `denoising`, with what comes before it, and `decoding`. */
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
  #info: EngineInfo;
  readonly #startWorker: StartWorker;
  /** The page's own model, if the worker cannot read it by itself. */
  readonly #source: ModelSource | undefined;
  readonly #settings: LoadSettings;
  readonly #queue = new Queue();
  #client: WorkerClient;
  #disposed = false;

  /** @internal Use `createEngine`. */
  constructor(
    startWorker: StartWorker,
    source: ModelSource | undefined,
    settings: LoadSettings,
    client: WorkerClient,
    info: EngineInfo,
  ) {
    this.#startWorker = startWorker;
    this.#source = source;
    this.#settings = settings;
    this.#client = client;
    this.#info = info;
  }

  /** What this engine holds and what it does by default; after it was rebuilt, of the model that it was rebuilt from. */
  get info(): EngineInfo {
    return this.#info;
  }

  /**
   * Turns a prompt into layers.
   *
   * @throws GlassineError `bad_option`, `bad_image`, `unsupported_mode`, `out_of_memory`, `non_finite`, `device_lost`,
   * `aborted`, `disposed`, `internal`; and what {@link createEngine} throws where a part of the model has to be loaded
   * again. Where only decoding failed, the error has the latent.
   */
  async generate(options: GenerateOptions): Promise<GenerateResult> {
    checkRequest("generate", options);
    return this.#generate(options);
  }

  /**
   * Makes a layer, or any picture, larger, with its alpha, and adds detail by image to image over the larger picture. It
   * becomes exactly `scale` times as large.
   *
   * @example
   * ```ts
   * const large = await engine.enlarge(layer, { scale: 2, strength: 0.4 });
   * ```
   * @throws GlassineError as {@link Engine.generate} does.
   */
  async enlarge(picture: Picture, options: EnlargeOptions = {}): Promise<Layer> {
    checkObject("enlarge", options);
    checkRequest("enlarge", { prompt: "", ...options }, growthDecides, { scale: "number" });
    const { scale = 2, ...settings } = options;
    return this.#grow(picture, { ...settings, enlarge: scale });
  }

  /**
   * Lets a layer, or any picture, grow on its sides, and makes what is new. What there was stays as it is, bit for bit.
   *
   * @example
   * ```ts
   * const wider = await engine.extend(layer, { left: 64, right: 64, prompt: "a meadow" });
   * ```
   * @throws GlassineError as {@link Engine.generate} does.
   */
  async extend(picture: Picture, options: ExtendOptions): Promise<Layer> {
    checkObject("extend", options);
    checkRequest("extend", { prompt: "", ...options }, growthDecides, sides);
    const { left, top, right, bottom, ...settings } = options;
    return this.#grow(picture, { ...settings, extend: defined({ left, top, right, bottom }) });
  }

  /**
   * Generates a layer that fits what is in a scene, and adds it on top or at the
   * bottom. Called again and again, it builds up a scene of any number of layers.
   *
   * It is what `scene.flatten` and `generate` do one after the other: in front,
   * mode `bg2fg` with the flattened scene as the background; behind, mode
   * `fg2bg` with it, but without the scene's background colour, as the
   * foreground. Where nothing is visible yet, the first layer is made in mode
   * `single` if it is to be in front and the model can do that, else in mode
   * `opaque`.
   *
   * @throws GlassineError as {@link Engine.generate} and {@link Scene.flatten} do.
   */
  async addLayer(scene: Scene, options: AddLayerOptions): Promise<SceneLayer> {
    const { where = "front", ...settings } = Object(options) as AddLayerOptions;
    checkAddition(where, settings);
    checkRequest("addLayer", settings, sceneDecides);
    if (typeof Object(scene).flatten !== "function") {
      throw new GlassineError("bad_option", `addLayer takes a Scene, not ${show(scene)}`, {
        hint: "Make one with new Scene(width, height), or of a scene file with Scene.fromJSON.",
      });
    }
    if (this.#disposed) throw disposed();
    return this.#queue.add(async () => {
      const generate = await this.#fitting(scene, where, settings);
      const { request } = await toRequest(generate, this.#own);
      const [answer] = await this.#send("generate", { options: request, count: 1 }, heard(options));
      const raw = answer?.layers[0];
      if (!answer || !raw) throw new GlassineError("internal", "the engine gave no layer");
      if (options.signal?.aborted) throw abortError(options.signal.reason);
      const layer = new Layer(raw, this.#recipe(generate, answer));
      return scene.add(layer, { name: generate.prompt }, where === "front" ? "top" : "bottom");
    }, options.signal);
  }

  /**
   * Encodes a picture into a latent that `decode` takes, hiding its alpha in it
   * where the model has a transparency encoder. Its sides must be multiples of 8, at most 4096 pixels.
   *
   * @throws GlassineError `bad_image`, and as {@link Engine.generate} does.
   */
  async encode(image: Picture, options: RequestOptions = {}): Promise<Latent> {
    checkOptions("encode", options, requestOptions);
    return this.#call("encode", toPixels(image).then((picture) => ({ picture })), options);
  }

  /**
   * Decodes a latent of one frame into its layer.
   *
   * @throws GlassineError `bad_option` for a latent of several frames, `bad_image` for one that is not usable, and as
   * {@link Engine.generate} does.
   */
  async decode(latent: Latent, options: DecodeOptions = {}): Promise<Layer> {
    const [layer, ...others] = await this.#decode("decode", latent, options, 1);
    if (!layer || others.length > 0) throw new GlassineError("internal", "one frame gave several layers");
    return layer;
  }

  /**
   * Decodes a latent of any number of frames into its layers.
   *
   * @throws GlassineError as {@link Engine.decode} does.
   */
  async decodeAll(latent: Latent, options: DecodeOptions = {}): Promise<Layer[]> {
    return this.#decode("decodeAll", latent, options);
  }

  /** Ends the worker and frees its memory. Requests that are not finished reject with code `"disposed"`. */
  async dispose(): Promise<void> {
    this.#disposed = true;
    this.#queue.clear(disposed());
    this.#client.close(disposed());
  }

  /** For `await using engine = await createEngine(...)`. */
  async [asyncDispose](): Promise<void> {
    await this.dispose();
  }

  async #generate(options: GenerateOptions): Promise<GenerateResult> {
    const prepared = toRequest(options, this.#own);
    // A request that never comes to its turn must not count as an unhandled rejection.
    prepared.catch(() => {});
    if (this.#disposed) throw disposed();
    const { count = 1, signal } = options;
    const answers = await this.#queue.add(
      async () => this.#send("generate", { options: (await prepared).request, count }, heard(options)),
      signal,
    );
    if (signal?.aborted) throw abortError(signal.reason);
    const layers = answers.flatMap((answer) => {
      const recipe = this.#recipe(options, answer);
      return answer.layers.map((raw) => new Layer(raw, recipe));
    });
    const [answer] = answers;
    const [first, ...others] = layers;
    if (!answer || !first) throw new GlassineError("internal", "the engine gave no layer");
    const { embeddings, loras, warnings } = answer;
    return {
      layers: [first, ...others],
      latent: answer.latent,
      latents: answers.map(({ latent }) => latent),
      embeddings: embeddings.map(({ name }) => name),
      loras,
      warnings: [...(await prepared).warnings, ...warnings],
      timings: sum(answers.map(({ timings }) => timings)),
    };
  }

  /** A picture that is made larger; where a request has made it, by the prompts of that unless there are others. */
  async #grow(picture: Picture, options: Omit<GenerateOptions, "prompt"> & { prompt?: string | undefined }): Promise<Layer> {
    checkPicture(picture);
    const { recipe, role } = picture instanceof Layer ? picture : {};
    const { prompt = "", negativePrompt } = (recipe ?? {}) as Partial<GenerateOptions>;
    const mode = role && (role === "foreground" ? "single" : "opaque");
    const { layers } = await this.#generate({ prompt, negativePrompt, mode, ...defined(options), init: picture });
    return layers[0];
  }

  async #decode(call: string, latent: Latent, options: DecodeOptions, frames?: number): Promise<Layer[]> {
    checkKinds(checkOptions(call, options, [...Object.keys(decodeKinds), ...requestOptions]), decodeKinds);
    if (!(latent?.data instanceof Float32Array)) {
      throw new GlassineError("bad_option", "the latent must be one that generate gave");
    }
    if (frames !== undefined && latent.frames !== frames) {
      throw new GlassineError("bad_option", `decode takes a latent of one frame, and this one has ${latent.frames}`, {
        hint: "Use decodeAll, which gives a layer for each frame.",
      });
    }
    const request = { latent: toRaw(latent), vae: options.vae ?? "full", passes: options.passes };
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
    return this.#queue.add(async () => this.#send(type, await request, options), options.signal);
  }

  /** Makes a call whose turn it is. */
  async #send<Type extends keyof Calls>(
    type: Type,
    request: Calls[Type]["request"],
    options: RequestOptions,
  ): Promise<Calls[Type]["answer"]> {
    if (this.#disposed) throw disposed();
    if (this.#client.closed) {
      this.#client = new WorkerClient(this.#startWorker, this.#source);
      const { signal, onProgress } = options;
      this.#info = await this.#client.call("load", { ...this.#settings, device: this.info.device }, {
        signal,
        onProgress: (event: Progress | StorageProgress) => isStorageProgress(event) || onProgress?.(event),
      });
    }
    return this.#client.call(type, request, { ...options, patience });
  }

  /** What requests have without naming it, and what fits this model. */
  get #own(): Parameters<typeof toRequest>[1] {
    return { loras: this.#settings.loras, embeddingWidth: this.info.embeddingWidth };
  }

  /** The request for a layer that fits what is in `scene`. */
  async #fitting(
    scene: Scene,
    where: "front" | "behind",
    settings: Omit<AddLayerOptions, "where">,
  ): Promise<GenerateOptions> {
    const { width, height } = scene;
    const { signal } = settings;
    if (!scene.layers.some(({ visible }) => visible)) {
      const mode = where === "front" && this.info.modes.includes("single") ? "single" : "opaque";
      return { ...settings, width, height, mode };
    }
    if (where === "front") {
      return { ...settings, width, height, mode: "bg2fg", background: await scene.flatten({ signal }) };
    }
    const foreground = await scene.flatten({ signal, background: "#00000000" });
    return { ...settings, width, height, mode: "fg2bg", foreground };
  }

  /** What has to be asked of this engine to get an answer again. */
  #recipe(options: GenerateOptions, { latent, embeddings, loras }: RawGenerated): Recipe {
    const { steps, guidance, sampler, clipSkip, ...defaults } = this.info.defaults;
    // The latent of a second pass is larger than what was asked for.
    const size = options.hires
      ? { width: options.width ?? defaults.width, height: options.height ?? defaults.height }
      : { width: latent.width * 8, height: latent.height * 8 };
    const given = Object.entries(options).filter(([name, value]) => value !== undefined && !unrecorded.has(name));
    return {
      steps,
      guidance,
      sampler,
      clipSkip,
      ...Object.fromEntries(given),
      mode: latent.mode,
      ...size,
      ...(options.noise === undefined && { seed: latent.seed }),
      model: `sha256:${this.info.sha256}`,
      ...(options.controls && options.controls.length > 0 && { controls: recordedControls(options.controls) }),
      ...(embeddings.length > 0 && { embeddings }),
      ...(loras.length > 0 && { loras }),
    };
  }
}

/** A worker hears of an abort between two steps; of one that takes longer than this, loading the model anew is sooner done. */
const patience = 10_000;

/** The sums of what several requests took, by phase. */
function sum(timings: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const total: Record<string, number> = {};
  for (const [phase, time] of timings.flatMap(Object.entries) as [string, number][]) total[phase] = (total[phase] ?? 0) + time;
  return total;
}

const requestOptions = ["signal", "onProgress"];

const createOptions = Object.keys({
  model: true,
  device: true,
  memoryLimit: true,
  loras: true,
  store: true,
  signal: true,
  onProgress: true,
} satisfies Record<keyof CreateEngineOptions, true>);

/** What `createEngine` does, in a worker that is started so. */
export async function loadEngine(startWorker: StartWorker, options: CreateEngineOptions): Promise<Engine> {
  const { model: given, device = "auto", memoryLimit, loras, store } = checkOptions("createEngine", options, createOptions);
  checkKind("device", device, devices);
  if (memoryLimit !== undefined) checkMemoryLimit(memoryLimit);
  const source = isSource(given) ? given : undefined;
  if (source && store) throw new GlassineError("bad_option", "store is for a model that is given by URL");
  const model: ModelLocation = source ? { kind: "page" } : withStoring(await locate(given as string), store);
  const settings = { model, loras: await readLoras(loras, options.signal), memoryLimit };
  const client = new WorkerClient(startWorker, source);
  try {
    const info = await client.call("load", { ...settings, device }, withStorageProgress(options));
    return new Engine(startWorker, source, settings, client, info);
  } catch (error) {
    throw source ? error : await explainMissing(given as string, error);
  }
}

const devices = ["auto", "webgpu", "cpu"] as const;

function isSource(model: string | URL | ModelSource): model is ModelSource {
  return typeof Object(model).read === "function";
}

function checkMemoryLimit(limit: number): void {
  if (typeof limit === "number" && limit >= 0) return;
  throw new GlassineError("bad_option", `memoryLimit cannot be ${show(limit)}`, { hint: "Give a number of bytes." });
}

const storeOptions = ["name", "concurrency", "onProgress"];

/** The same location, with the wish to keep what is there. */
function withStoring(model: NamedLocation, store: CreateEngineOptions["store"]): NamedLocation {
  if (store === undefined || store === false) return model;
  const { name, concurrency = 4 } = store === true ? {} : checkOptions("store", store, storeOptions);
  if (name !== undefined) checkModelName(name);
  checkConcurrency(concurrency);
  // What is here already has nothing to keep.
  if (model.kind !== "url") return model;
  askToPersist();
  return { ...model, store: { name, concurrency } };
}

/** Has the events of storing go where the option says. */
function withStorageProgress({ signal, onProgress, store }: CreateEngineOptions): CallOptions {
  const onStorage = typeof store === "object" ? store.onProgress : undefined;
  return {
    signal,
    onProgress: (event: Progress | StorageProgress) => (isStorageProgress(event) ? onStorage?.(event) : onProgress?.(event)),
  };
}

function isStorageProgress(event: Progress | StorageProgress): event is StorageProgress {
  return ["waiting", "checking", "downloading", "packing"].includes(event.phase);
}

/** What a scene decides of the layers that are generated into it. */
const sceneDecides: readonly string[] = ["mode", "width", "height", "hires", "enlarge", "extend", "count", "foreground", "background"];

/** Refuses what the scene decides, and places that there are not. */
function checkAddition(where: string, settings: object): void {
  const decided = sceneDecides.find((name) => Object.hasOwn(settings, name));
  if (decided !== undefined) {
    throw new GlassineError("bad_option", `addLayer takes no ${decided}`, { hint: "Leave it out: the scene decides it." });
  }
  checkKind("where", where, ["front", "behind"]);
}

/** What a request for a larger picture does not take. */
const growthDecides: readonly string[] = ["enlarge", "extend", "init", "mask", "hires", "count", "foreground", "background", "fit"];

const decodeKinds = { vae: vaes, passes: decodePasses } as const satisfies Record<Exclude<keyof DecodeOptions, keyof RequestOptions>, Kind>;

function toRaw({ data, frames, width, height, mode, seed }: Latent): RawLatent {
  return { data, frames, width, height, mode, seed };
}

function disposed(): GlassineError {
  return new GlassineError("disposed", "the engine was disposed", { hint: "Make another with createEngine." });
}
