import type { Layer } from "./layer.js";

/** Where the computation runs. */
export type Device = "webgpu" | "cpu";

/**
 * What one request makes: `single` is one transparent image, `opaque` an
 * ordinary picture, and the others make several layers that belong together.
 */
export type Mode = "single" | "opaque" | "joint" | "fg2bg" | "bg2fg";

/** How noise is turned into a picture, step by step. */
export type Sampler =
  | "dpmpp-2m-karras"
  | "euler"
  | "euler-a"
  | "ddim"
  | "unipc"
  | "unipc-karras"
  | "lcm";

/** Whose timesteps and noise levels a sampler follows, where there is a choice. */
export type Convention = "k-diffusion" | "diffusers" | "layerdiffuse";

/** What a layer is in the picture that its request made. */
export type Role = "foreground" | "background" | "blended" | "image";

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
   */
  read(
    path: string,
    options: { signal: AbortSignal; again: boolean },
  ): Promise<Uint8Array | ArrayBuffer | Blob>;
}

/**
 * How far a request is. Each event reports something that has happened: there
 * are no timers behind it, and within a phase the numbers never go back.
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
 * `loadedBytes` begins there.
 */
export type StorageProgress =
  | { phase: "waiting" }
  | { phase: "checking"; checkedBytes: number; totalBytes: number }
  | { phase: "downloading"; loadedBytes: number; totalBytes: number };

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
}

/**
 * A picture to work from: a layer, pixels with straight alpha, or a file (PNG,
 * JPEG or WebP).
 */
export type Picture = Layer | ImageData | Blob;

/** The options of `engine.generate`. What is left out is the model's default. */
export interface GenerateOptions extends RequestOptions {
  prompt: string;
  negativePrompt?: string | undefined;
  mode?: Mode | undefined;
  /** What the foreground shows, in front of the main prompt. */
  foregroundPrompt?: string | undefined;
  /** What the background shows, in front of the main prompt. */
  backgroundPrompt?: string | undefined;
  /** What the blended picture shows, in front of the main prompt. */
  blendedPrompt?: string | undefined;
  /** The foreground that mode `fg2bg` makes a background for. */
  foreground?: Picture | undefined;
  /** The background that mode `bg2fg` puts a foreground on. */
  background?: Picture | undefined;
  /** A picture to start from instead of noise alone. */
  init?: Picture | undefined;
  /** How much of `init` is given up, above 0 and at most 1; 0.7 if left out. */
  strength?: number | undefined;
  /** Scale and crop given pictures that are not of the output's size, instead of refusing them. */
  fit?: boolean | undefined;
  /** In pixels; a multiple of `engine.info.sizeMultiple`. */
  width?: number | undefined;
  height?: number | undefined;
  /** The number of denoising steps. */
  steps?: number | undefined;
  /** How closely to follow the prompt; 1 turns the negative prompt off. */
  guidance?: number | undefined;
  /** A whole number from 0 to 2^53 - 1. The same seed and options give the same picture. */
  seed?: number | undefined;
  sampler?: Sampler | undefined;
  convention?: Convention | undefined;
  /** How many flipped and turned copies the transparency decoder averages: 1 or 8. */
  decodePasses?: number | undefined;
  /** Adds a small preview to the progress of every n-th step. */
  previewEvery?: number | undefined;
  /** Starting noise instead of the seed's: frames x 4 x height/8 x width/8 values. */
  noise?: Float32Array | undefined;
}

/** The options of `engine.decode` and `engine.decodeAll`. */
export interface DecodeOptions extends RequestOptions {
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
