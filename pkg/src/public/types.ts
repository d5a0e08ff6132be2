import type { AdapterKind, BlendMode, EngineOptions, Mode, Operator, Quantization, Sampler, Vae } from "./generated.js";

export type { AdapterKind, Convention, EngineOptions, Mode, Quantization, Role, Sampler, Vae } from "./generated.js";

/** Where the computation runs. */
export type Device = "webgpu" | "cpu";

/**
 * A model pack that you read yourself, from wherever it is.
 *
 * @example Files that the visitor has dropped on the page
 * ```ts
 * const model: ModelSource = { read: async (path) => files.get(path)! };
 * ```
 */
export interface ModelSource {
  /**
   * Gives the bytes of one file of the pack: `"manifest.json"` or the name of a
   * shard. Is called in the page, also again later, when the engine has to be
   * rebuilt. The bytes are copied. If they are not what the manifest says, the
   * file is asked for once more, with `again`.
   *
   * `signal` fires when the request is aborted or the engine disposed of: nobody
   * waits for the bytes any more. A rejection fails the request with code `"io"`,
   * or with what a {@link GlassineError} says; only one that is `recoverable` is
   * tried again, up to four times.
   */
  read(
    path: string,
    options: { signal: AbortSignal; again: boolean },
  ): Promise<Uint8Array | ArrayBuffer | Blob>;
}

/**
 * How far a request is. Each event reports something that has happened: there
 * are no timers behind it, and within a phase the numbers never go back. Phase
 * `"loading"` comes before each other phase whose networks are not loaded yet.
 */
export type Progress =
  | { phase: "loading"; loadedBytes: number; totalBytes: number }
  | { phase: "encoding" }
  | { phase: "denoising"; step: number; steps: number; preview?: ImageData }
  | { phase: "decoding"; pass: number; passes: number };

/**
 * How far storing or verifying a model is, as exactly as {@link Progress}: it
 * waits for somebody else, in this tab or another, who is storing the same
 * model; hashes what is stored already; fetches what is not. Bytes are those of
 * the model's shards. When an import goes on where another stopped,
 * `loadedBytes` begins there. `packing` counts the bytes of the given files'
 * weights.
 */
export type StorageProgress =
  | { phase: "waiting" }
  | { phase: "checking"; checkedBytes: number; totalBytes: number }
  | { phase: "downloading"; loadedBytes: number; totalBytes: number }
  | { phase: "packing"; loadedBytes: number; totalBytes: number };

/** What `models.verify` found, by file names of the pack. */
export interface Verification {
  /** Whether the stored model is whole now. */
  readonly intact: boolean;
  /** Files that were not there. */
  readonly missing: string[];
  /** Files that were not what the manifest says. */
  readonly damaged: string[];
}

/** What every request takes. */
export interface RequestOptions {
  /** Stops the request within one shard, denoising step or decode pass. */
  signal?: AbortSignal | undefined;
  onProgress?: ((progress: Progress) => void) | undefined;
}

/** The options of `createEngine`. */
export interface CreateEngineOptions extends RequestOptions {
  /**
   * `"mini"`, the small model in this package, or the name of a stored model, or
   * the URL of a pack's folder, or your own source.
   */
  model: string | ModelSource;
  /**
   * `"auto"`, the default, is what `checkSupport` recommends: WebGPU where there
   * is a GPU for it, else the CPU.
   */
  device?: Device | "auto" | undefined;
  /**
   * How much memory to use, in bytes: 2 GB on WebGPU and 3 GB on the CPU if left out. Where all
   * networks together and the work would take more, one network at a time is loaded, which costs
   * time at every picture. `models.estimate` says what a model takes.
   */
  memoryLimit?: number | undefined;
  /** Merged into the model's weights as they are loaded, one after the other. */
  loras?: readonly LoraOption[] | undefined;
}

/** What generating a picture takes of a GPU's memory at most, in bytes. */
export interface MemoryEstimate {
  /** With all networks loaded, so that the next picture needs no loading. */
  readonly allLoaded: number;
  /** With one network loaded at a time, as `memoryLimit` can have it. */
  readonly oneAtATime: number;
}

/** A LoRA for `createEngine`. */
export interface LoraOption {
  /**
   * A `.safetensors` file in kohya's or PEFT's naming, or where it is. It is read once; the engine
   * keeps its bytes for the case that it has to be rebuilt.
   */
  file: Blob | Uint8Array | URL;
  /** The factor on what it changes; 1 if left out. */
  strength?: number | undefined;
}

/**
 * A picture to work from: a layer or a flattened scene, pixels with straight
 * alpha, or a file (PNG, JPEG or WebP).
 */
export type Picture = Pixels | ImageData | Blob;

/** What a `Layer` or another `Raster` is as a picture: pixels with straight alpha. */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly imageData: ImageData;
  toBlob(): Promise<Blob>;
  toImageBitmap(options?: ImageBitmapOptions): Promise<ImageBitmap>;
}

/** The options of `engine.generate`. What is left out is the model's default. */
export interface GenerateOptions extends RequestOptions, EngineOptions {
  /** The foreground that mode `fg2bg` makes a background for. */
  foreground?: Picture | undefined;
  /** The background that mode `bg2fg` puts a foreground on. */
  background?: Picture | undefined;
  /** A picture to start from instead of noise alone. */
  init?: Picture | undefined;
  /**
   * A picture for the model's ControlNet, if it has one: edges, depth, a pose,
   * whatever the ControlNet was trained on.
   */
  control?: Picture | undefined;
}

/** The options of `engine.decode` and `engine.decodeAll`. */
export interface DecodeOptions extends RequestOptions {
  /** `"tiny"` needs a model with TAESD, and a latent of a mode without a transparent layer. */
  vae?: Vae | undefined;
  /** How many flipped and turned copies the transparency decoder averages: 1 or 8. */
  passes?: number | undefined;
}

/** A picture before it is decoded. Plain data: it can be stored and cloned. */
export interface Latent {
  /** frames x 4 x height x width values, scaled as the UNet sees them. */
  data: Float32Array;
  frames: number;
  /** In latent cells, each 8 pixels wide. */
  width: number;
  height: number;
  mode: Mode;
  seed: number;
}

/** What an engine holds and what it does by default. */
export interface EngineInfo {
  /** The model's name. */
  readonly name: string;
  /** Where this engine computes. */
  readonly device: Device;
  /** The modes that the model can do. */
  readonly modes: Mode[];
  /** For each other mode, what the model lacks for it. */
  readonly missing: Readonly<Record<string, string>>;
  readonly defaults: {
    readonly width: number;
    readonly height: number;
    readonly steps: number;
    readonly guidance: number;
    readonly sampler: Sampler;
  };
  /** Widths and heights are multiples of this. */
  readonly sizeMultiple: number;
  /** The SHA-256 of the model's manifest, which fixes every file of the model. */
  readonly sha256: string;
}

/**
 * How a layer was made: the options of the request with the model's defaults
 * filled in, except for pictures and given noise. Fields of one's own may stand
 * beside them.
 */
export interface Recipe {
  prompt?: string | undefined;
  mode?: Mode | undefined;
  /** The seed of the request, not there if it had noise of its own. */
  seed?: number | undefined;
  /** `sha256:` and the hash of the model's manifest. */
  model?: string | undefined;
  [field: string]: unknown;
}

/** Where a layer of a scene is, how it is mixed and what is known of it. */
export interface LayerSettings {
  name?: string | undefined;
  /** What it is for, such as `"foreground"`. */
  role?: string | undefined;
  /** The left and top edge before scale and rotation, in pixels; 0 if left out. */
  x?: number | undefined;
  y?: number | undefined;
  /** The factor on its size, about its centre; 1 if left out. */
  scale?: number | undefined;
  /** The turn about its centre in degrees, clockwise; 0 if left out. */
  rotate?: number | undefined;
  /** Whether left and right are exchanged, before the turn. */
  flip?: boolean | undefined;
  /** The factor on its alpha, 0 to 1; 1 if left out. */
  opacity?: number | undefined;
  blend?: BlendMode | undefined;
  operator?: Operator | undefined;
  /** Whether it is there at all; true if left out. */
  visible?: boolean | undefined;
  recipe?: Recipe | undefined;
}

/** A layer or a group in a scene, as the scene file has it. */
export interface SceneLayer extends LayerSettings {
  x: number;
  y: number;
  scale: number;
  rotate: number;
  flip: boolean;
  opacity: number;
  blend: BlendMode;
  operator: Operator;
  visible: boolean;
  /** The path of its picture beside the scene file; a group has none. */
  image?: string | undefined;
  /** The layers of a group, bottom first. */
  layers?: SceneLayer[] | undefined;
}

/** Where to put a layer: at an end of the scene, next to another layer, or on top in a group. */
export type Place = "top" | "bottom" | { above: SceneLayer } | { below: SceneLayer } | { inside: SceneLayer };

/** The options of `new Scene`. */
export interface SceneOptions {
  /** What lies under all layers, as `#rrggbb` or `#rrggbbaa`; transparent if left out. */
  background?: string | undefined;
  /** Where colours are mixed: encoded, as CSS does it, or in linear light. `"srgb"` if left out. */
  space?: "srgb" | "linear" | undefined;
}

/** A scene as it is saved. Fields that are not known here are kept. */
export interface SceneFile extends SceneOptions {
  /** The version of the format. */
  glassine?: number | undefined;
  width: number;
  height: number;
  /** Bottom first. What a layer leaves out has its default. */
  layers?: Partial<SceneLayer>[] | undefined;
  [field: string]: unknown;
}

/** The options of `scene.flatten`. */
export interface FlattenOptions {
  signal?: AbortSignal | undefined;
  /** Instead of the scene's own. */
  background?: string | undefined;
}

/** The options of `scene.toOra` and `scene.toPsd`. */
export interface ExportOptions {
  signal?: AbortSignal | undefined;
}

/** The options of `engine.addLayer`: those of `generate`, apart from what the scene decides. */
export interface AddLayerOptions
  extends Omit<GenerateOptions, "mode" | "width" | "height" | "foreground" | "background"> {
  /** On top of all that is there, as it is by default, or under it. */
  where?: "front" | "behind" | undefined;
}

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
  layers?: { [Kind in AdapterKind]?: Blob | undefined } | undefined;
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
