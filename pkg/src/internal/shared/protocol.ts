// What the page and its workers say to each other, and the plain objects that
// the engine gives. One call is under way at a time, so calls carry no numbers;
// reads do, because several can be open at once.

import type { pictureOptions } from "./beside.js";
import type { GlassineErrorCode } from "../../public/errors.js";
import type { EdgesOf } from "../../public/generated.js";
import type {
  Device,
  EngineInfo,
  GenerateOptions,
  Latent,
  MemoryEstimate,
  Mode,
  Quantization,
  RequestOptions,
  Role,
  Sampler,
  ShelfFile,
  ShelfProgress,
  StorageProgress,
  StoredModel,
  UsedLora,
  Vae,
  Verification,
} from "../../public/types.js";

export interface RawRaster {
  width: number;
  height: number;
  /** Straight alpha, sRGB. */
  rgba: Uint8Array<ArrayBuffer>;
}

export interface RawLayer extends RawRaster {
  role: Role;
  seed: number;
}

export type RawLatent = Latent;

export interface RawGenerated {
  layers: RawLayer[];
  latent: RawLatent;
  /** The embeddings that the prompts name, with the hashes of their files. */
  embeddings: { name: string; hash: string }[];
  /** The LoRAs that it was made with, as strong as they were. */
  loras: UsedLora[];
  /** What the request says that has no effect. */
  warnings: string[];
  /** Milliseconds by phase. */
  timings: Record<string, number>;
}

/** A picture on its way to the module that composites: a file's bytes, or pixels. The engine takes pixels alone. */
export type RawPicture = Uint8Array<ArrayBuffer> | RawRaster;

/**
 * The bytes of a LoRA's file, what it is called in messages, and in prompts if not after its file, the beginning of the
 * hash that it is to have, if that is said, and its strengths.
 */
export interface RawLora {
  file: string;
  bytes: Uint8Array<ArrayBuffer>;
  name: string | undefined;
  hash: string | undefined;
  strength: number;
  textEncoderStrength: number;
}

/** The bytes of an embedding's file, what it is called in messages, and in prompts if not after its file. */
export interface RawEmbedding {
  file: string;
  bytes: Uint8Array<ArrayBuffer>;
  name: string | undefined;
}

/** A ControlNet's file: what the engine knows it by, so that it is loaded once, and what it is called. */
export interface RawControlNet {
  id: string;
  name: string;
  file: Blob;
}

/** A picture for a ControlNet, the model's own if there is none. */
export interface RawControl {
  picture: RawRaster;
  controlnet: RawControlNet | undefined;
  scale: number | undefined;
  start: number | undefined;
  end: number | undefined;
}

/** How edges are found. */
export interface RawEdgeOptions {
  of?: EdgesOf;
  low?: number;
  high?: number;
}

/** What the engine finds out about a file for the shelf. */
export type RawAddition = Pick<ShelfFile, "kind" | "description" | "sha256" | "hash" | "triggerWords" | "baseModel" | "width">;

/** A scene file's text, and the layers' pictures under the paths by which it names them. */
export interface RawScene {
  scene: string;
  pictures: Map<string, RawPicture>;
}

/** A file as a scene: its text, its pictures by their paths, and what of the file is not in it. */
export interface RawOpenedScene {
  scene: string;
  images: Map<string, RawPicture>;
  warnings: string[];
}

/** How a sprite sheet is packed. */
export interface RawSheetOptions {
  image: string;
  trim: boolean;
  padding: number;
  maxSide: number;
}

/** A sprite sheet, and the text of its JSON. */
export interface RawSpriteSheet {
  picture: RawRaster;
  json: string;
}

/** A picture to encode, and the JSON of the recipe that made it, if one did. */
type RawEncoding = RawRaster & { recipe?: string };

type PictureOptions = (typeof pictureOptions)[number];

export type EngineRequest = Omit<GenerateOptions, keyof RequestOptions | "onPreview" | PictureOptions | "embeddings" | "loras" | "controls"> & {
  [Option in PictureOptions]?: RawRaster;
} & { embeddings?: RawEmbedding[]; loras?: RawLora[]; controls?: RawControl[] };

export type EngineEvent =
  | { phase: "loading"; loadedBytes: number; totalBytes: number }
  | { phase: "encoding" }
  | {
      phase: "denoising";
      step: number;
      steps: number;
      preview?: { width: number; height: number; rgba: Uint8Array<ArrayBuffer> };
    }
  | { phase: "decoding"; pass: number; passes: number };

export interface RawError {
  code: GlassineErrorCode;
  message: string;
  hint?: string | undefined;
  recoverable?: boolean | undefined;
  latent?: RawLatent | undefined;
}

/** Files under paths of the page's choice, and what is to be made of them. */
export interface PackRequest {
  name: string;
  files: { path: string; file: Blob }[];
  options: RawPackOptions;
}

/** What to pack, by paths; a folder's stands for the files in it. */
export interface RawPackOptions {
  model: string;
  quantize: Quantization;
  nativeTransparency: boolean;
  controlnet?: string | undefined;
  vae?: string;
  textEncoder?: string;
  transparencyDecoder?: string;
  transparencyEncoder?: string;
  taesdDecoder?: string;
  taesdEncoder?: string;
  layers: Record<string, string>;
  loras: [path: string, strength: number][];
  defaultSteps?: number;
  defaultGuidance?: number;
  defaultSampler?: Sampler;
  defaultClipSkip?: number;
  defaultDecodePasses?: number;
}

/** Where a worker reads a model by itself: in the package, a pack's folder or the browser's storage. */
export type NamedLocation =
  | { kind: "mini" }
  /** `store` has the pack stored, and read from there the next time. */
  | { kind: "url"; url: string; store?: { name: string | undefined; concurrency: number } }
  | { kind: "stored"; name: string };

/** Where the engine's worker reads a model: there, or from the page's own source. */
export type ModelLocation = NamedLocation | { kind: "page" };

/** Where files of the package are, by their paths in it, if not where a worker would look for them by itself. */
export type AssetUrls = Record<string, string>;

/** Each call to one of the workers, what it is given and what it answers. */
export interface Calls {
  load: {
    request: { model: ModelLocation; device: Device | "auto"; loras: RawLora[]; memoryLimit: number | undefined };
    answer: EngineInfo;
  };
  generate: { request: { options: EngineRequest; count: number }; answer: RawGenerated[] };
  encode: { request: { picture: RawRaster }; answer: RawLatent };
  decode: { request: { latent: RawLatent; vae: Vae; passes: number | undefined }; answer: RawLayer[] };
  flatten: { request: RawScene; answer: RawRaster };
  /** Reads a picture's file. */
  picture: { request: { file: Uint8Array<ArrayBuffer> }; answer: RawRaster };
  /** Finds a picture's edges. */
  edges: { request: { picture: RawPicture; options: RawEdgeOptions }; answer: RawRaster };
  /** Reads how a picture was made: JSON, if its file says it. */
  recipe: { request: { file: Uint8Array<ArrayBuffer> }; answer: string | undefined };
  /** Encodes a picture. */
  png: { request: RawEncoding; answer: Uint8Array<ArrayBuffer> };
  webp: { request: RawEncoding; answer: Uint8Array<ArrayBuffer> };
  /** Makes a scene a file of layers. */
  export: { request: RawScene & { format: "ora" | "psd" | "zip" }; answer: Uint8Array<ArrayBuffer> };
  /** Reads a file of layers; `name` is for messages and for layers' names. */
  open: { request: { file: Uint8Array<ArrayBuffer>; name: string }; answer: RawOpenedScene };
  /** Packs pictures, under the sprites' names, into a sheet. */
  sprites: { request: RawSheetOptions & { pictures: Map<string, RawPicture> }; answer: RawSpriteSheet };
  /** Packs the layers of a scene into a sheet. */
  sceneSprites: { request: RawSheetOptions & RawScene; answer: RawSpriteSheet };
  /** Stores the pack at `origin`. */
  import: { request: { origin: string; name: string | undefined; concurrency: number }; answer: StoredModel };
  /** Packs files and stores the pack. */
  pack: { request: PackRequest; answer: StoredModel };
  /** What a model takes, of storage and of a GPU's memory. */
  estimate: {
    request: { model: NamedLocation; mode: Mode | undefined; width: number | undefined; height: number | undefined };
    answer: { name: string; parts: readonly string[]; totalBytes: number; downloadBytes: number; gpuMemory: MemoryEstimate };
  };
  verify: { request: { name: string; repair: boolean }; answer: Verification };
  /** Puts a file on the shelf. */
  shelve: { request: { file: Blob; fileName: string; name: string | undefined }; answer: ShelfFile };
  /** Why files of the shelf do not fit a model, by their SHA-256. */
  misfits: { request: { model: NamedLocation }; answer: Record<string, string> };
}

/** How a call that stores something is stopped, and who is told how far it is. */
export interface StorageTask {
  signal: AbortSignal;
  report: (progress: StorageProgress | ShelfProgress) => void;
}

export type Call = {
  [Type in keyof Calls]: { type: Type } & Calls[Type]["request"];
}[keyof Calls];

/** Calls for the worker that holds an engine. */
export type EngineCall = Extract<Call, { type: "load" | "generate" | "encode" | "decode" }>;

/** Calls for the worker that stores models. */
export type StorageCall = Extract<Call, { type: "import" | "pack" | "estimate" | "verify" | "shelve" | "misfits" }>;

/** Calls for the worker that needs no model. */
export type ComposeCall = Extract<Call, { type: "flatten" | "export" | "picture" | "edges" | "recipe" | "png" | "webp" | "open" | "sprites" | "sceneSprites" }>;

/** The answer to `read`. */
export type ReadAnswer =
  | { type: "bytes"; read: number; bytes: Uint8Array<ArrayBuffer> }
  | { type: "unread"; read: number; error: RawError };

export type ToWorker = { type: "start"; assets: AssetUrls } | Call | { type: "abort" } | ReadAnswer;

export type FromWorker =
  /** Asks for a file of the page's own source, `again` if it was read before and is damaged. */
  | { type: "read"; read: number; path: string; again: boolean }
  | { type: "progress"; event: EngineEvent | StorageProgress | ShelfProgress }
  | { type: "done"; answer: Calls[keyof Calls]["answer"] }
  | { type: "failed"; error: RawError }
  /** The GPU is gone, or the engine has trapped: this worker is of no more use. */
  | { type: "dead"; error: RawError };
