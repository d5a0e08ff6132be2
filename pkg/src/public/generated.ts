// Generated from the Rust crate by tests/package_types.rs: change it there, and run
// GLASSINE_UPDATE=1 cargo test --test all package_types

import type { Hires, Margins, Variation } from "./option-fields.js";

/** What one request makes: `single` is one transparent image, `opaque` an ordinary picture, and the others make several layers that belong together. */
export const modes = Object.freeze([
  "single",
  "opaque",
  "joint",
  "fg2bg",
  "bg2fg",
] as const);

/** One of {@link modes}. */
export type Mode = (typeof modes)[number];

/** What a layer is in the picture that its request made. */
export const roles = Object.freeze([
  "foreground",
  "background",
  "blended",
  "image",
] as const);

/** One of {@link roles}. */
export type Role = (typeof roles)[number];

/** How noise is turned into a picture, step by step; the default first. */
export const samplers = Object.freeze([
  "dpmpp-2m-karras",
  "euler",
  "euler-a",
  "ddim",
  "unipc",
  "unipc-karras",
  "lcm",
  "tcd",
] as const);

/** One of {@link samplers}. */
export type Sampler = (typeof samplers)[number];

/** Whose timesteps and noise levels a sampler follows, where there is a choice. */
export const conventions = Object.freeze([
  "k-diffusion",
  "diffusers",
  "layerdiffuse",
] as const);

/** One of {@link conventions}. */
export type Convention = (typeof conventions)[number];

/** What turns latents into pixels: the model's own VAE, or TAESD, which takes a small part of the time and loses fine detail. */
export const vaes = Object.freeze([
  "full",
  "tiny",
] as const);

/** One of {@link vaes}. */
export type Vae = (typeof vaes)[number];

/** What `edges` finds the edges of: a picture's colours on grey, or a layer's alpha. */
export const edgesOf = Object.freeze([
  "color",
  "alpha",
] as const);

/** One of {@link edgesOf}. */
export type EdgesOf = (typeof edgesOf)[number];

/** How a pack keeps its weights: in about 4 or 8 bits each, or as 16-bit floats. */
export const quantizations = Object.freeze([
  "q4",
  "q8",
  "f16",
] as const);

/** One of {@link quantizations}. */
export type Quantization = (typeof quantizations)[number];

/** What LayerDiffuse's attention files are for: `attn` for mode `single`, and one for each mode of several layers. */
export const adapterKinds = Object.freeze([
  "attn",
  "joint",
  "fg2bg",
  "bg2fg",
] as const);

/** One of {@link adapterKinds}. */
export type AdapterKind = (typeof adapterKinds)[number];

/** How a layer's colours mix with those below: the values of CSS's `mix-blend-mode`. */
export const blendModes = Object.freeze([
  "normal",
  "multiply",
  "screen",
  "overlay",
  "darken",
  "lighten",
  "color-dodge",
  "color-burn",
  "hard-light",
  "soft-light",
  "difference",
  "exclusion",
  "hue",
  "saturation",
  "color",
  "luminosity",
] as const);

/** One of {@link blendModes}. */
export type BlendMode = (typeof blendModes)[number];

/** Which parts of a layer and of what lies below it remain: the Porter-Duff operators. */
export const operators = Object.freeze([
  "source-over",
  "clear",
  "copy",
  "destination",
  "destination-over",
  "source-in",
  "destination-in",
  "source-out",
  "destination-out",
  "source-atop",
  "destination-atop",
  "xor",
  "lighter",
] as const);

/** One of {@link operators}. */
export type Operator = (typeof operators)[number];

/** The codes of the errors that the engine itself reports. */
export const engineErrorCodes = Object.freeze([
  "aborted",
  "bad_option",
  "bad_image",
  "unsupported_mode",
  "model_not_found",
  "model_damaged",
  "model_unsupported",
  "io",
  "network",
  "quota_exceeded",
  "device_unavailable",
  "device_lost",
  "out_of_memory",
  "non_finite",
  "internal",
] as const);

/** One of {@link engineErrorCodes}. */
export type EngineErrorCode = (typeof engineErrorCodes)[number];

/** How many groups of a scene may lie within each other. */
export const maxSceneDepth = 32;

/** The format of packs that is written and read. */
export const packFormat = 2;

/** How many bytes a shard of a pack may have. */
export const maxShardBytes = 16777216;

/** How many bytes a pack may have. */
export const maxPackBytes = 17179869184;

/** The options of `engine.generate` apart from its pictures, its signal and its progress. */
export interface EngineOptions {
  /**
   * What the picture shows, as the web UIs read it: `(word:1.2)` and `(word)`, which is 1.1, count
   * more, `[word]` counts less, `[before:after:when]` and `[one|another]` change while sampling,
   * `BREAK` and `AND` divide; a backslash makes a bracket text. The other prompts are read likewise,
   * but without `AND`.
   */
  prompt: string;
  /** What it is to keep away from; used where guidance is not 1. */
  negativePrompt?: string | undefined;
  /** What to make; `"single"` if left out and the model can do it, else `"opaque"`. */
  mode?: Mode | undefined;
  /** What the foreground shows, in front of the main prompt. */
  foregroundPrompt?: string | undefined;
  /** What the background shows, in front of the main prompt. */
  backgroundPrompt?: string | undefined;
  /** What the blended picture shows, in front of the main prompt. */
  blendedPrompt?: string | undefined;
  /** At which layer the text encoder ends: 1 is the last, 2 the last but one. */
  clipSkip?: number | undefined;
  /** Enlarge `init` by this, in modes `single` and `opaque`, and give it up in part. */
  enlarge?: number | undefined;
  /**
   * Let `init` grow by so many pixels on its sides, in modes `single` and `opaque`, and make what is
   * new. What there was stays as it is.
   */
  extend?: Margins | undefined;
  /**
   * How much of `init` is given up, above 0 and at most 1; if left out 0.7, 1 with a `mask` or
   * `extend`, and 0.5 with `enlarge`.
   */
  strength?: number | undefined;
  /**
   * Repaint the part of `init` that is masked and so many pixels around it, at the output's size;
   * `init` may then have any size.
   */
  maskCrop?: number | undefined;
  /** Width in pixels of a soft edge inside of the mask, 0 to 256; if left out 0, and 8 with `extend`. */
  maskSoftness?: number | undefined;
  /** Keep the alpha of `init` where it is repainted, in mode `single`. */
  keepAlpha?: boolean | undefined;
  /** How strongly `control` steers, 0 to 10; 1 if left out. */
  controlScale?: number | undefined;
  /** The part of the steps that goes by before `control` steers, from 0; 0 if left out. */
  controlStart?: number | undefined;
  /**
   * The part of the steps after which `control` steers no more, above `controlStart` and at most
   * 1; 1 if left out.
   */
  controlEnd?: number | undefined;
  /** Scale and crop given pictures that are not of the output's size, instead of refusing them. */
  fit?: boolean | undefined;
  /** In pixels, at most 4096; a multiple of `engine.info.sizeMultiple`. */
  width?: number | undefined;
  /** In pixels, likewise. */
  height?: number | undefined;
  /** The number of denoising steps, 1 to 1000. */
  steps?: number | undefined;
  /** How closely to follow the prompt, 0 to 100; 1 turns the negative prompt off. */
  guidance?: number | undefined;
  /**
   * How much of the contrast that guidance adds is taken back, 0 to 1; 0 if left out. 0.7 is usual
   * for models with zero terminal SNR.
   */
  guidanceRescale?: number | undefined;
  /** A whole number from 0 to 2^53 - 1, 0 if left out. The same seed and options give the same picture. */
  seed?: number | undefined;
  /** Noise of another seed that is mixed in, from 0, nothing of it, to 1: a little varies the picture. */
  variation?: Variation | undefined;
  /**
   * Enlarges the picture by `scale` in a second pass, in modes `single` and `opaque`; `strength`, 0.5 if
   * left out, says how much of the enlarged picture is given up.
   */
  hires?: Hires | undefined;
  /** How noise is turned into a picture. */
  sampler?: Sampler | undefined;
  /** Whose details the sampler follows. */
  convention?: Convention | undefined;
  /** `"tiny"` needs a model with TAESD, and a mode without a transparent layer; `"full"` if left out. */
  vae?: Vae | undefined;
  /**
   * How many flipped and turned copies the transparency decoder takes the median of, 1 or 8; if left
   * out, what suits the model.
   */
  decodePasses?: number | undefined;
  /**
   * Adds a preview to the progress of every n-th step: opaque, and of the output's size if the
   * model has TAESD, else an eighth of it.
   */
  previewEvery?: number | undefined;
  /** Starting noise instead of the seed's: frames x 4 x height/8 x width/8 values. */
  noise?: Float32Array | undefined;
}

/** The names of {@link EngineOptions}. */
export const engineOptions = Object.freeze([
  "prompt",
  "negativePrompt",
  "mode",
  "foregroundPrompt",
  "backgroundPrompt",
  "blendedPrompt",
  "clipSkip",
  "enlarge",
  "extend",
  "strength",
  "maskCrop",
  "maskSoftness",
  "keepAlpha",
  "controlScale",
  "controlStart",
  "controlEnd",
  "fit",
  "width",
  "height",
  "steps",
  "guidance",
  "guidanceRescale",
  "seed",
  "variation",
  "hires",
  "sampler",
  "convention",
  "vae",
  "decodePasses",
  "previewEvery",
  "noise",
] as const satisfies (keyof EngineOptions)[]);
