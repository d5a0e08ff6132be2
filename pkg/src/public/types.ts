import type { Margins } from "./option-fields.js";
import type { AdapterKind, BlendMode, EngineOptions, Mode, Operator, Quantization, Sampler, Vae } from "./generated.js";

export type { AdapterKind, Convention, EngineOptions, Mode, Quantization, Role, Sampler, Vae } from "./generated.js";

/** Where the computation runs: on the GPU through WebGPU, or on one core of the CPU in WebAssembly. */
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
  | {
      /** Weights are read and moved to the device. */
      phase: "loading";
      /** How many bytes of shards are read and checked. */
      loadedBytes: number;
      /** How many will be. */
      totalBytes: number;
    }
  | {
      /** The prompts go through the text encoder. */
      phase: "encoding";
    }
  | {
      /** A step of turning noise into the picture is done. */
      phase: "denoising";
      /** How many steps are done. */
      step: number;
      /** How many there are. */
      steps: number;
      /** A rough picture of this step, opaque and in sRGB, where `previewEvery` asks for one. */
      preview?: ImageData;
    }
  | {
      /** The latent becomes pixels. */
      phase: "decoding";
      /** How many passes of the transparency decoder are done. */
      pass: number;
      /** How many there are. */
      passes: number;
    };

/**
 * How far storing or verifying a model is, as exactly as {@link Progress}: it
 * waits for somebody else, in this tab or another, who is storing the same
 * model; hashes what is stored already; fetches what is not. Bytes are those of
 * the model's shards. When an import goes on where another stopped,
 * `loadedBytes` begins there. `packing` counts the bytes of the given files'
 * weights.
 */
export type StorageProgress =
  | {
      /** Somebody else is storing this model. */
      phase: "waiting";
    }
  | {
      /** What is stored is hashed. */
      phase: "checking";
      /** How many bytes are hashed. */
      checkedBytes: number;
      /** How many will be. */
      totalBytes: number;
    }
  | {
      /** Shards are fetched and stored. */
      phase: "downloading";
      /** How many bytes of the model are here. */
      loadedBytes: number;
      /** How many it has. */
      totalBytes: number;
    }
  | {
      /** Files are made a pack. */
      phase: "packing";
      /** How many bytes of the files' weights are packed. */
      loadedBytes: number;
      /** How many there are. */
      totalBytes: number;
    };

/** How far putting a file on the shelf is, as exactly as {@link Progress}. */
export type ShelfProgress =
  | {
      /** Somebody else puts a file there. */
      phase: "waiting";
    }
  | {
      /** The file is looked through. */
      phase: "checking";
      /** How many of its bytes were read. */
      checkedBytes: number;
      /** How many it has. */
      totalBytes: number;
    }
  | {
      /** It is written. */
      phase: "storing";
      /** How many bytes of it are stored. */
      loadedBytes: number;
      /** How many it has. */
      totalBytes: number;
    };

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
  /**
   * Stops the request: it rejects at once with code `"aborted"`, and the worker stops within one
   * shard, denoising step or decode pass.
   */
  signal?: AbortSignal | undefined;
  /** Is called for each event of the request, in order, and no more once it is aborted. */
  onProgress?: ((progress: Progress) => void) | undefined;
}

/** The options of `createEngine`. */
export interface CreateEngineOptions extends RequestOptions {
  /**
   * `"mini"`, the small model in this package, or the name of a stored model, or
   * the URL of a pack's folder, or your own source.
   */
  model: string | URL | ModelSource;
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
  /** What the model is changed by in every request; a request may have others beside them. */
  loras?: readonly LoraOption[] | undefined;
  /**
   * Keeps a model that is given by URL in the browser's storage, as `models.import` does, before it is loaded: the next
   * visit loads it from there, without a network. Where the browser grants no room, it is loaded from its URL as
   * without this. A newer version at the URL is not looked for: `models.import` does that. If no name is given, it has
   * one that no other model has.
   */
  store?: boolean | StoreOptions | undefined;
}

/** How `createEngine` stores a model. */
export interface StoreOptions extends Omit<ImportOptions, "signal"> {}

/** What generating a picture takes of a GPU's memory at most, in bytes. */
export interface MemoryEstimate {
  /** With all networks loaded, so that the next picture needs no loading. */
  readonly allLoaded: number;
  /** With one network loaded at a time, as `memoryLimit` can have it. */
  readonly oneAtATime: number;
}

/** A LoRA for `engine.generate`, or `createEngine`. */
export interface LoraOption {
  /**
   * A `.safetensors` file of kohya's scripts, LyCORIS, PEFT or diffusers, or where it is: a URL, or a text for its name
   * on the shelf. An engine keeps the bytes of its own for the case that it has to be rebuilt; a request's are read for
   * each request.
   */
  file: Blob | Uint8Array | URL | string;
  /**
   * What stands for it in prompts, as in `<lora:name:0.8>`; if left out, the text that `file` is, or the file's name
   * without its ending.
   */
  name?: string | undefined;
  /**
   * The beginning of the hash that the file is to have, as a recipe says it. On the shelf the file that has it is taken,
   * whatever its name. Of several files of one name the one that has it is used; if none has, the first is, and
   * `warnings` say so.
   */
  hash?: string | undefined;
  /**
   * The factor on what it changes, -100 to 100; 1, as it was trained, if left out. A tag in the prompt counts instead.
   */
  strength?: number | undefined;
  /** The factor on what it changes of the text encoder, if that is to be another. */
  textEncoderStrength?: number | undefined;
}

/** A picture that steers a request, and the ControlNet that sees it. */
export interface ControlOption {
  /** What the ControlNet was trained to see: edges (see {@link edges}), depth, a pose. Where it is transparent, it counts as black. */
  picture: Picture;
  /**
   * The ControlNet's file, `.safetensors`, PyTorch's or where it is: a URL, or a text for its name on the shelf; the
   * model's own if left out. The same `Blob`, `Uint8Array` or name is loaded once, and kept for the next request.
   */
  controlnet?: Blob | Uint8Array | URL | string | undefined;
  /** How strongly it steers, 0 to 10; 1 if left out. */
  scale?: number | undefined;
  /** The part of the steps that goes by before it steers, from 0; 0 if left out. */
  start?: number | undefined;
  /** The part of the steps after which it steers no more, above `start` and at most 1; 1 if left out. */
  end?: number | undefined;
}

/** A control of a {@link Recipe}, which holds neither its picture nor its ControlNet's file. */
export interface RecipeControl {
  /** What its ControlNet's file was called, if it was not the model's own. */
  readonly controlnet?: string | undefined;
  /** How strongly it steered. */
  readonly scale: number;
  /** The part of the steps that went by before it steered. */
  readonly start: number;
  /** The part of the steps after which it steered no more. */
  readonly end: number;
}

/** A LoRA that a picture was made with. */
export interface UsedLora {
  /** What prompts call it. */
  readonly name: string;
  /** How strongly the UNet was changed, and the text encoder if it has no strength of its own. */
  readonly strength: number;
  /** How strongly the text encoder was changed, if that was another strength. */
  readonly textEncoderStrength?: number;
  /**
   * The SHA-256 of its file in hexadecimal digits: of a `.safetensors` file's tensors, without what it says of itself,
   * as the web UIs have it; of the whole file, if that is one of PyTorch's.
   */
  readonly hash: string;
}

/** A textual inversion for `engine.generate`. */
export interface EmbeddingOption {
  /** A `.safetensors` file, or a `.pt` or `.bin` file of PyTorch's, or where it is: a URL, or a text for its name on the shelf. */
  file: Blob | Uint8Array | URL | string;
  /** What stands for it in prompts; if left out, the text that `file` is, or the file's name without its ending. */
  name?: string | undefined;
}

/**
 * A picture to work from: a layer or a flattened scene, pixels with straight
 * alpha, a file (PNG, JPEG or WebP) or the URL of one, or what a canvas can draw.
 * Files are read as browsers show them: upright, in sRGB by their profile.
 * An `ImageData` must be of 8 bits in sRGB. A URL is a `URL`, or a text that begins
 * with a scheme, `/`, `./` or `../`. It is fetched when the picture is
 * needed; another origin must allow this page to read it (CORS). What a canvas
 * draws comes through a canvas, whose colours are premultiplied: those under
 * alpha 0 are lost, and those under a small alpha lose precision.
 */
export type Picture = Pixels | ImageData | Blob | string | URL | DrawablePicture;

/** What a canvas can draw: a canvas, an `ImageBitmap`, an element with an image or a video, a `VideoFrame`. */
export type DrawablePicture =
  | HTMLCanvasElement
  | OffscreenCanvas
  | ImageBitmap
  | HTMLImageElement
  | HTMLVideoElement
  | VideoFrame;

/** What a `Layer` or another `Raster` is as a picture: pixels in sRGB with straight alpha. */
export interface Pixels {
  /** In pixels. */
  readonly width: number;
  /** In pixels. */
  readonly height: number;
  /** RGBA, 8 bits each, straight (unpremultiplied) alpha, sRGB. */
  readonly imageData: ImageData;
  /** A PNG with straight alpha. */
  toBlob(): Promise<Blob>;
  /** A bitmap for drawing, premultiplied unless the options say otherwise. */
  toImageBitmap(options?: ImageBitmapOptions): Promise<ImageBitmap>;
}

/** The options of `engine.generate`. What is left out is the model's default. */
export interface GenerateOptions extends RequestOptions, EngineOptions {
  /** The foreground that mode `fg2bg` makes a background for. */
  foreground?: Picture | undefined;
  /** The background that mode `bg2fg` puts a foreground on. */
  background?: Picture | undefined;
  /** A picture to start from instead of noise alone; `strength` says how much of it is given up. */
  init?: Picture | undefined;
  /**
   * A picture for the model's ControlNet, if it has one: edges, depth, a pose,
   * whatever the ControlNet was trained on.
   */
  control?: Picture | undefined;
  /** Pictures for several ControlNets, or for ones that the model does not have. They add up, with `control` too. */
  controls?: readonly ControlOption[] | undefined;
  /**
   * Where `init` is repainted, of the same size: grey times alpha. White repaints, black keeps, bit for bit, and between
   * is each place's own strength. In modes `"single"` and `"opaque"`.
   */
  mask?: Picture | undefined;
  /** Textual inversions, whose names the prompts may use as words. Names of those on the shelf may be used without this. */
  embeddings?: readonly EmbeddingOption[] | undefined;
  /**
   * LoRAs, for this request alone. The model's weights stay as they are, so that nothing is loaded anew for another
   * strength. `<lora:name:0.8>` in a prompt sets the strength of one, and takes one from the shelf that is not given.
   */
  loras?: readonly LoraOption[] | undefined;
  /** How many pictures to make, 1 to 1000, each from the seed after those of the one before; 1 if left out. */
  count?: number | undefined;
  /**
   * Is called with each preview: opaque, and of the output's size if the model has TAESD, else an eighth of it. Previews
   * are made at every step, or at every `previewEvery`-th. They are in the progress, too.
   */
  onPreview?: ((preview: ImageData, at: PreviewStep) => void) | undefined;
}

/** What a larger picture is made by, beside what says how it grows. */
export type GrowOptions = Omit<
  GenerateOptions,
  "prompt" | "enlarge" | "extend" | "init" | "mask" | "hires" | "count" | "foreground" | "background" | "fit"
> & {
  /** What the picture shows; if left out, what the layer was made by. */
  prompt?: string | undefined;
};

/** The options of `engine.enlarge`. */
export type EnlargeOptions = GrowOptions & {
  /** The larger size by the given one, above 1 and at most 8; 2 if left out. */
  scale?: number | undefined;
};

/** The options of `engine.extend`: by how much the picture grows, and what is new. */
export type ExtendOptions = GrowOptions & Margins;

/** When a preview was made. */
export interface PreviewStep {
  /** How many steps are done. */
  step: number;
  /** How many there are. */
  steps: number;
}

/** The options of `engine.decode` and `engine.decodeAll`. */
export interface DecodeOptions extends RequestOptions {
  /** `"tiny"` needs a model with TAESD, and a latent of a mode without a transparent layer. */
  vae?: Vae | undefined;
  /** How many flipped and turned copies the transparency decoder takes the median of, 1 or 8; if left out, what suits the model. */
  passes?: number | undefined;
}

/** A picture before it is decoded. Plain data: it can be stored and cloned. */
export interface Latent {
  /** frames x 4 x height x width values, scaled as the UNet sees them. */
  data: Float32Array;
  /** How many pictures it holds: one for each layer that its mode makes. */
  frames: number;
  /** In latent cells, each 8 pixels wide. */
  width: number;
  /** In latent cells, each 8 pixels high. */
  height: number;
  /** The mode that it was made in, which says how it is decoded. */
  mode: Mode;
  /** The seed that made the first frame, each further one's being one more; 0 if there was none. */
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
  /** What a request has that says nothing else. */
  readonly defaults: {
    /** In pixels. */
    readonly width: number;
    /** In pixels. */
    readonly height: number;
    /** The number of denoising steps. */
    readonly steps: number;
    /** How closely the prompt is followed. */
    readonly guidance: number;
    /** How noise is turned into a picture. */
    readonly sampler: Sampler;
    /** At which layer the text encoder ends: 1 is the last. */
    readonly clipSkip: number;
    /** Passes of the transparency decoder: 1 or 8. */
    readonly decodePasses: number;
  };
  /**
   * What the model was taught, in phrases to offer as somebody types, if that is less than what people may ask for;
   * else empty. Words that are in none of them are named in a result's `warnings`.
   */
  readonly words: readonly string[];
  /** How many numbers each vector of an embedding has that fits the model. */
  readonly embeddingWidth: number;
  /** Widths and heights are multiples of this. */
  readonly sizeMultiple: number;
  /** The SHA-256 of the model's manifest, which fixes every file of the model. */
  readonly sha256: string;
}

/**
 * How a layer was made: the options of the request with the model's defaults
 * filled in, except for pictures and given noise. Fields of one's own may stand
 * beside them. In a scene, `foreground`, `background`, `init`, `mask` and `control`
 * may be paths of pictures that the scene has: see {@link Scene.addPicture}.
 */
export interface Recipe {
  /** What the picture was to show. */
  prompt?: string | undefined;
  /** What the request made. */
  mode?: Mode | undefined;
  /** The seed of the request, not there if it had noise of its own. */
  seed?: number | undefined;
  /** `sha256:` and the hash of the model's manifest. */
  model?: string | undefined;
  /**
   * The other options of the request by their names, and fields of one's own. `loras` and `embeddings` are lists of
   * {@link RecipeFile}, of which a request wants the files; `controls` is one of {@link RecipeControl}, of which it wants
   * the pictures, too.
   */
  [field: string]: unknown;
}

/** A LoRA or an embedding in a {@link Recipe}. */
export interface RecipeFile {
  /** What prompts call it. */
  readonly name: string;
  /** The SHA-256 as {@link UsedLora} has it, or of an embedding's whole file: all digits, or the first ones; not there if it is not known. */
  readonly hash?: string | undefined;
  /** Of a LoRA, how strongly the UNet was changed, and the text encoder if it has no strength of its own. */
  readonly strength?: number | undefined;
  /** Of a LoRA, how strongly the text encoder was changed, if that was another strength. */
  readonly textEncoderStrength?: number | undefined;
}

/** Where a layer of a scene is, how it is mixed and what is known of it. */
export interface LayerSettings {
  /** What people call it; its file is named after it. */
  name?: string | undefined;
  /** What it is for, such as `"foreground"`. */
  role?: string | undefined;
  /** The left edge before scale and rotation, in pixels from the scene's; 0 if left out. */
  x?: number | undefined;
  /** The top edge before scale and rotation, in pixels from the scene's; 0 if left out. */
  y?: number | undefined;
  /** The factor on its size, about its centre, above 0; 1 if left out. */
  scale?: number | undefined;
  /** The turn about its centre in degrees, clockwise; 0 if left out. */
  rotate?: number | undefined;
  /** Whether left and right are exchanged, before the turn. */
  flip?: boolean | undefined;
  /** The factor on its alpha, 0 to 1; 1 if left out. */
  opacity?: number | undefined;
  /** How its colours mix with those below; `"normal"` if left out. */
  blend?: BlendMode | undefined;
  /** Which parts of it and of what lies below remain; `"source-over"` if left out. */
  operator?: Operator | undefined;
  /** Whether it is there at all; true if left out. */
  visible?: boolean | undefined;
  /** How it was made, if an engine has made it. */
  recipe?: Recipe | undefined;
  /**
   * The path of a mask for its picture, of the same size, as {@link Scene.addPicture} gives it: white where it is to be
   * made anew. It does not change what the layer looks like.
   */
  mask?: string | undefined;
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
export type Place =
  | "top"
  | "bottom"
  | {
      /** The layer that it comes to lie on. */
      above: SceneLayer;
    }
  | {
      /** The layer that it comes to lie under. */
      below: SceneLayer;
    }
  | {
      /** The group that it comes to lie in, on top. */
      inside: SceneLayer;
    };

/** The options of `new Scene`. */
export interface SceneOptions {
  /** What lies under all layers, as `#rrggbb` or `#rrggbbaa`; transparent if left out. */
  background?: string | undefined;
  /** Where colours are mixed: encoded, as CSS does it, or in linear light. `"srgb"` if left out. */
  space?: "srgb" | "linear" | undefined;
}

/** A scene as it is saved. Fields that are not known here are kept. */
export interface SceneFile extends SceneOptions {
  /** The version of the format, 1. */
  glassine?: number | undefined;
  /** In pixels, 1 to 16384. */
  width: number;
  /** In pixels, 1 to 16384. */
  height: number;
  /** Bottom first. What a layer leaves out has its default. */
  layers?: Partial<SceneLayer>[] | undefined;
  /** What is not known here. */
  [field: string]: unknown;
}

/** The options of `scene.flatten`. */
export interface FlattenOptions {
  /** Rejects the call with code `"aborted"`. */
  signal?: AbortSignal | undefined;
  /** What lies under all layers, as `#rrggbb` or `#rrggbbaa`, instead of the scene's own. */
  background?: string | undefined;
}

/** The options of `Scene.open`. */
export interface OpenOptions {
  /** Rejects the call with code `"aborted"`. */
  signal?: AbortSignal | undefined;
  /** What the file is called, for messages and for a single picture's layer; a `File`'s own name, or `"file"`, if left out. */
  name?: string | undefined;
}

/** The options of `toSpriteSheet` and `scene.toSpriteSheet`. */
export interface SpriteSheetOptions {
  /** Rejects the call with code `"aborted"`. */
  signal?: AbortSignal | undefined;
  /** What the sheet's file will be called, for the JSON; `"sheet.png"` if left out. */
  image?: string | undefined;
  /** Cuts off transparent edges, which the JSON makes up for; true if left out. */
  trim?: boolean | undefined;
  /** The space between two pictures and around all, in pixels, 0 to 256; 2 if left out. */
  padding?: number | undefined;
  /** The longest side that the sheet may have, in pixels, 1 to 16384; 4096 if left out. */
  maxSide?: number | undefined;
}

/** Where the pictures of a sprite sheet are, in the form of TexturePacker's "JSON hash". */
export interface SpriteSheetJson {
  /** Each picture by its name. */
  frames: Record<string, SpriteFrame>;
  /** What is said of the sheet. */
  meta: {
    /** `"glassine"`. */
    app: string;
    /** The version of glassine. */
    version: string;
    /** What the sheet's file is called. */
    image: string;
    /** `"RGBA8888"`. */
    format: string;
    /** Of the sheet, in pixels. */
    size: SpriteSize;
    /** `"1"`. */
    scale: string;
  };
}

/** Where a picture of a sprite sheet is. */
export interface SpriteFrame {
  /** On the sheet, in pixels. */
  frame: SpriteBox;
  /** False: no picture is turned. */
  rotated: boolean;
  /** Whether transparent edges were cut off. */
  trimmed: boolean;
  /** Where what is on the sheet lies in the whole picture. */
  spriteSourceSize: SpriteBox;
  /** The size of the whole picture. */
  sourceSize: SpriteSize;
}

/** A size of a sprite or a sheet, in pixels. */
export interface SpriteSize {
  /** Width. */
  w: number;
  /** Height. */
  h: number;
}

/** A part of a sheet or a picture, in pixels. */
export interface SpriteBox extends SpriteSize {
  /** Of the left edge. */
  x: number;
  /** Of the upper edge. */
  y: number;
}

/** The options of `scene.toOra`, `scene.toPsd` and `scene.toFile`. */
export interface ExportOptions {
  /** Rejects the call with code `"aborted"`. */
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

/** What a file on the shelf is: a change of a model's weights, a word of prompts, or a network that steers by a picture. */
export type ShelfKind = "lora" | "embedding" | "controlnet";

/** A file on the shelf, which lies beside the stored models. */
export interface ShelfFile {
  /** What prompts call it, and what to give as `file` to `generate` and `createEngine`. */
  readonly name: string;
  /** What it was called as it was added, with its ending. */
  readonly file: string;
  /** What it is. */
  readonly kind: ShelfKind;
  /** The same in more words, such as `LoRA (LoHa)`. */
  readonly description: string;
  /** How large it is. */
  readonly bytes: number;
  /** The hash that recipes name it by: a LoRA's as {@link UsedLora} has it, of other files the SHA-256. */
  readonly hash: string;
  /** The first 12 digits of that, which is what the web UIs show. */
  readonly shortHash: string;
  /** The SHA-256 of the whole file, in hexadecimal digits. */
  readonly sha256: string;
  /** The words that call for what a LoRA was taught, as far as its file says them, the most telling first. */
  readonly triggerWords: readonly string[];
  /** What a LoRA was trained on, if its file says so. */
  readonly baseModel?: string | undefined;
  /** How many numbers each vector of an embedding has. */
  readonly width?: number | undefined;
  /** Why it does not fit the model that `list` was asked about; not there if it does. */
  readonly misfit?: string | undefined;
}

/** The options of `models.shelf.add`. */
export interface ShelveOptions {
  /** What to call it; the file's name without its ending if left out. */
  name?: string | undefined;
  /** Rejects the call with code `"aborted"`; nothing is left then. */
  signal?: AbortSignal | undefined;
  /** Is called for each event of the call, in order. */
  onProgress?: ((progress: ShelfProgress) => void) | undefined;
}

/** The options of `models.shelf.list`. */
export interface ShelfListOptions {
  /** A model, as `createEngine` takes it by its name or URL, to say what does not fit it. */
  model?: string | URL | undefined;
  /** Rejects the call with code `"aborted"`. */
  signal?: AbortSignal | undefined;
}

/** How much this page's origin may store and has stored, in bytes; as the browser estimates it. */
export interface StorageEstimate {
  /** How many bytes are stored, of everything that this origin stores. */
  readonly usage: number;
  /** How many bytes there may be. Browsers may grant less when it comes to it. */
  readonly quota: number;
  /** Whether the browser has promised not to remove what is stored when the disk is full. */
  readonly persisted: boolean;
}

/** What a model takes, in bytes. */
export interface ModelEstimate extends StorageEstimate {
  /** The model's name for itself. */
  readonly name: string;
  /** What the pack holds, as its manifest names it: `"unet"`, `"vae"`, `"layers.joint"`, `"controlnet"` and others. */
  readonly parts: readonly string[];
  /** The length of all its shards. */
  readonly totalBytes: number;
  /** How much of that is not stored here yet. */
  readonly downloadBytes: number;
  /** What a picture takes of a GPU's memory. */
  readonly gpuMemory: MemoryEstimate;
}

/** What picture an estimate is for; the model's defaults where left out. */
export interface EstimateOptions {
  /** What is to be made. */
  mode?: Mode | undefined;
  /** In pixels. */
  width?: number | undefined;
  /** In pixels. */
  height?: number | undefined;
  /** Rejects the call with code `"aborted"`. */
  signal?: AbortSignal | undefined;
}

/** What every call takes that stores or verifies a model. */
export interface StorageOptions {
  /** Rejects the call with code `"aborted"`. What is stored by then stays, as each call says. */
  signal?: AbortSignal | undefined;
  /** Is called for each event of the call, in order. */
  onProgress?: ((progress: StorageProgress) => void) | undefined;
}

/** The options of `models.import` for the pack at a URL. */
export interface ImportOptions extends StorageOptions {
  /** What to call the model: letters, digits, `_`, `.` and `-`. The pack's own name if left out. */
  name?: string | undefined;
  /** How many shards to fetch at a time, 1 to 16; 4 if left out. */
  concurrency?: number | undefined;
}

/** The options of `models.import` for files: how they become a pack, as `glassine pack` makes it, and which files belong to the checkpoint. */
export interface PackOptions extends StorageOptions {
  /** What to call the model: letters, digits, `_`, `.` and `-`. As the file or folder if left out. */
  name?: string | undefined;
  /** `"q4"` if left out: the smallest, and nearest to what a visitor's memory holds. */
  quantize?: Quantization | undefined;
  /** A VAE in place of the checkpoint's, or where it has none: a file, or a folder's files. */
  vae?: Blob | Iterable<File> | undefined;
  /** A text encoder in place of the checkpoint's, or where it has none: a file, or a folder's files. */
  textEncoder?: Blob | Iterable<File> | undefined;
  /** A `vae_transparent_decoder` file. */
  transparencyDecoder?: Blob | undefined;
  /** A `vae_transparent_encoder` file. */
  transparencyEncoder?: Blob | undefined;
  /** LayerDiffuse's attention files: `attn` for mode `"single"`, and one for each mode of several layers. */
  layers?: Partial<Record<AdapterKind, Blob | undefined>> | undefined;
  /** Files that are merged into the model for good, one after the other. */
  loras?: readonly PackLora[] | undefined;
  /** A ControlNet: a file, or the files of its folder in diffusers' layout. */
  controlnet?: Blob | Iterable<File> | undefined;
  /** A `taesd_decoder` file. */
  taesdDecoder?: Blob | undefined;
  /** A `taesd_encoder` file. */
  taesdEncoder?: Blob | undefined;
  /** Whether the model itself was trained on transparent pictures and needs no `attn`. */
  nativeTransparency?: boolean | undefined;
  /**
   * What a request has that says nothing else: 20 steps of `"dpmpp-2m-karras"` with a guidance of 7 where left out. A
   * model with a LoRA of the kind LCM or TCD merged into it wants 4 steps of `"lcm"` or `"tcd"` with a guidance of 1.
   */
  defaults?: PackDefaults | undefined;
}

/** What a request to a packed model has that says nothing else. */
export interface PackDefaults {
  /** The number of denoising steps. */
  steps?: number | undefined;
  /** How closely the prompt is followed. */
  guidance?: number | undefined;
  /** How noise is turned into a picture. */
  sampler?: Sampler | undefined;
  /** At which layer the text encoder ends: 1 is the last, 2 the last but one. */
  clipSkip?: number | undefined;
  /** Passes of the transparency decoder: 1 or 8. */
  decodePasses?: number | undefined;
}

/** A LoRA that is merged when a model is packed. */
export interface PackLora extends Pick<LoraOption, "strength"> {
  /** A `.safetensors` file of kohya's scripts, LyCORIS, PEFT or diffusers. */
  file: Blob;
}

/** The options of `models.verify`. */
export interface VerifyOptions extends StorageOptions {
  /** Fetch missing and damaged files again from where the model came from; false if left out. */
  repair?: boolean | undefined;
}
