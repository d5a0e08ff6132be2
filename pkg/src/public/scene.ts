/// <reference lib="esnext.disposable" preserve="true" />
import { composeWorker } from "../internal/page/compose-worker.js";
import { WorkerClient } from "../internal/page/worker-client.js";
import { checkKinds, checkObject, checkOptions, show } from "../internal/page/check-options.js";
import { defined } from "../internal/page/defined.js";
import { checkPicture, toRawPicture } from "../internal/page/pictures.js";
import { pathsBeside, pictureOptions } from "../internal/shared/beside.js";
import { type GivenFile, isGivenFile, readGiven } from "../internal/page/given-file.js";
import type { Calls, RawPicture, RawScene } from "../internal/shared/protocol.js";
import { Queue } from "../internal/page/queue.js";
import { suggestion } from "../internal/page/suggestions.js";
import { GlassineError } from "./errors.js";
import { maxSceneDepth } from "./generated.js";
import { Layer } from "./layer.js";
import { Raster } from "./raster.js";
import { checkSheetOptions, fromRawSheet, type SpriteSheet } from "./sprite-sheet.js";
import type {
  ExportOptions,
  FlattenOptions,
  LayerSettings,
  OpenOptions,
  Picture,
  Place,
  SceneFile,
  SceneLayer,
  SceneOptions,
  SpriteSheetOptions,
} from "./types.js";

const layerDefaults = {
  x: 0,
  y: 0,
  scale: 1,
  rotate: 0,
  flip: false,
  opacity: 1,
  blend: "normal",
  operator: "source-over",
  visible: true,
} as const satisfies LayerSettings;

const extensions: Record<string, string> = { "image/jpeg": "jpg", "image/webp": "webp" };

// Older browsers have no Symbol.dispose.
const dispose: typeof Symbol.dispose = Symbol.dispose ?? Symbol.for("Symbol.dispose");

/**
 * Layers on top of each other, and how they become one picture. It needs no
 * engine and no model.
 *
 * A scene and its layers are plain data: change their fields as you like. What
 * cannot be, such as an opacity of 2, is found when the scene is flattened.
 *
 * @example
 * ```ts
 * const scene = new Scene(512, 512);
 * scene.add(layer, { x: 40, y: 10, opacity: 0.8, blend: "multiply" });
 * const png = await (await scene.flatten()).toBlob();
 * ```
 */
export class Scene {
  /** In pixels, 1 to 16384. */
  width: number;
  /** In pixels, 1 to 16384. */
  height: number;
  /** What lies under all layers: `#rrggbb` or `#rrggbbaa`. */
  background: string;
  /** Where colours are mixed: encoded as sRGB, as CSS does it, or in linear light. */
  space: NonNullable<SceneOptions["space"]>;
  readonly #layers: SceneLayer[] = [];
  readonly #pictures = new Map<string, Picture>();
  /** What a file had that is not known here. */
  #other: Record<string, unknown> = {};
  #warnings: readonly string[] = [];
  readonly #queue = new Queue();
  #client: WorkerClient | undefined;
  #disposed = false;

  /** Makes a scene of no layers; width and height are in pixels. */
  constructor(width: number, height: number, options: SceneOptions = {}) {
    for (const side of [width, height]) {
      if (typeof side !== "number") throw new GlassineError("bad_option", `new Scene takes a width and a height, not ${show(side)}`);
    }
    const { background = "#00000000", space = "srgb" } = checkOptions("Scene", options, ["background", "space"]);
    this.width = width;
    this.height = height;
    this.background = background;
    this.space = space;
  }

  /**
   * Reads a scene file, as text or parsed, whose pictures are in `images` under
   * the paths by which it names them. Fields that are not known here are kept.
   *
   * @throws GlassineError `bad_option` for what is no scene, `bad_image` for what is no picture.
   */
  static fromJSON(
    json: string | SceneFile,
    images: ReadonlyMap<string, Picture> | Readonly<Record<string, Picture>> = {},
  ): Scene {
    const scene = new Scene(1, 1);
    scene.#fill(json, images instanceof Map ? images : Object.entries(images));
    return scene;
  }

  /**
   * Opens a file of layers: a scene's own (see {@link Scene.toFile}), OpenRaster
   * (`.ora`), Photoshop's (`.psd`, `.psb`), or a PNG, JPEG or WebP file, which
   * becomes a scene of one layer. What it is, is known by what is in it.
   * What such a file has that a scene has no word for, is left out or replaced by
   * what is nearest, and {@link Scene.warnings} say so.
   *
   * @example
   * ```ts
   * const scene = await Scene.open(input.files[0]);
   * if (scene.warnings.length > 0) showNote(scene.warnings.join("\n"));
   * ```
   *
   * @throws GlassineError `bad_image` for a file that cannot be read, `bad_option` for a scene that cannot be,
   * `model_not_found` for a URL at which there is no file, `out_of_memory`, `io`, `network`, `aborted`, `worker_failed`.
   */
  static async open(file: Blob | Uint8Array | URL, options: OpenOptions = {}): Promise<Scene> {
    const { signal = new AbortController().signal, name: label = "file" } = checkOptions("Scene.open", options, ["signal", "name"]);
    checkKinds({ name: label }, { name: "text" });
    if (!isGivenFile(file)) {
      throw new GlassineError("bad_image", `Scene.open takes a file, not ${show(file)}`, {
        hint: "Give a Blob or a File, its bytes as a Uint8Array, or a URL.",
      });
    }
    const scene = new Scene(1, 1);
    try {
      const given = readGiven(file as GivenFile, label, signal);
      const request = given.then(({ name, bytes }) => ({ name: options.name ?? name, file: bytes }));
      const opened = await scene.#call("open", request, signal);
      scene.#fill(opened.scene, [...opened.images].map(([path, image]) => [path, fromRawPicture(image)]));
      scene.#warnings = opened.warnings;
    } catch (error) {
      scene.dispose();
      throw error;
    }
    return scene;
  }

  /** Makes this the scene that a file describes. */
  #fill(json: string | SceneFile, images: Iterable<readonly [string, Picture]>): void {
    const { glassine, width, height, background, space, layers, ...other } = readFile(json);
    Object.assign(this, { width, height, ...defined({ background, space }) });
    this.#layers.push(...(layers ?? []).map(withDefaults));
    this.#other = other;
    for (const [path, picture] of images) {
      checkPicture(picture);
      this.#pictures.set(path, picture);
    }
  }

  /** What of the file that the scene was opened from is not in it, or differently, in words for whoever opened it. */
  get warnings(): readonly string[] {
    return this.#warnings;
  }

  /** The layers, bottom first. */
  get layers(): readonly SceneLayer[] {
    return this.#layers;
  }

  /**
   * The pictures of the layers, groups included, under the paths by which the scene file names them, with those that
   * they and their recipes name beside them (see {@link Scene.addPicture}).
   */
  get images(): ReadonlyMap<string, Picture> {
    return this.#named([...paths(this.#layers), ...pathsBeside(this.#layers)]);
  }

  #named(paths: readonly string[]): Map<string, Picture> {
    return new Map(paths.flatMap((path) => {
      const picture = this.#pictures.get(path);
      return picture ? [[path, picture]] : [];
    }));
  }

  /**
   * Keeps a picture with the scene that is not a layer's own, and gives its path: for a layer's `mask`, or for `init`,
   * `mask`, `foreground`, `background` and `control` of its recipe, so that it can be made again after the scene was
   * saved. `name` is what its file is named after. It is saved with the scene once a layer names it.
   *
   * @example
   * ```ts
   * const before = scene.addPicture(photo, "photo, before");
   * scene.add(repainted, { recipe: { ...repainted.recipe, init: before, mask: scene.addPicture(mask, "photo, mask") } });
   * ```
   *
   * @throws GlassineError `bad_image` for what is no picture.
   */
  addPicture(picture: Picture, name = "picture"): string {
    checkPicture(picture);
    const path = this.#newPath({ name }, picture);
    this.#pictures.set(path, picture);
    return path;
  }

  /**
   * Adds a layer, on top unless `place` says otherwise. A layer that an engine
   * has made brings its role and its recipe along.
   *
   * @throws GlassineError `bad_image` for what is no picture, `bad_option` for a place that is not in the scene, or what
   * another library calls one of the settings.
   */
  add(picture: Picture, settings: LayerSettings = {}, place: Place = "top"): SceneLayer {
    checkPicture(picture);
    checkSettings("add", settings);
    const made = picture instanceof Layer ? { role: picture.role, recipe: picture.recipe } : {};
    const layer: SceneLayer = withDefaults({ ...made, ...defined(settings) });
    if (layer.recipe) layer.recipe = { ...layer.recipe };
    const image = this.#newPath(layer, picture);
    layer.image = image;
    this.#insert(layer, place);
    this.#pictures.set(image, picture);
    return layer;
  }

  /**
   * Adds a group: layers that are composited with each other first, in a space
   * of the scene's size, and then placed and mixed as one. Put layers into it
   * with the place `{ inside: group }`.
   *
   * @throws GlassineError `bad_option` for a place that is not in the scene.
   */
  addGroup(settings: LayerSettings = {}, place: Place = "top"): SceneLayer {
    checkSettings("addGroup", settings);
    const group: SceneLayer = { ...withDefaults(defined(settings)), layers: [] };
    this.#insert(group, place);
    return group;
  }

  /**
   * Moves a layer or group to another place.
   *
   * @throws GlassineError `bad_option` if one of them is not in the scene, or the place is in the group that is moved.
   */
  move(layer: SceneLayer, place: Place): void {
    const list = this.#listOf(layer);
    const index = list.indexOf(layer);
    const [neighbour] = isObject(place) ? Object.values(place) : [];
    if (neighbour && findList([layer], neighbour)) {
      throw new GlassineError("bad_option", "a layer cannot be moved beside or into itself", { hint: "Name a place outside of it." });
    }
    list.splice(index, 1);
    try {
      this.#insert(layer, place);
    } catch (error) {
      list.splice(index, 0, layer);
      throw error;
    }
  }

  /**
   * Takes a layer, or a group with all that is in it, out of the scene.
   *
   * @throws GlassineError `bad_option` if it is not there.
   */
  remove(layer: SceneLayer): void {
    const list = this.#listOf(layer);
    list.splice(list.indexOf(layer), 1);
    const used = this.images;
    for (const path of [...paths([layer]), ...pathsBeside([layer])]) if (!used.has(path)) this.#pictures.delete(path);
  }

  /**
   * Composites the visible layers: byte for byte what `glassine compose` makes
   * of the scene file. The result has straight alpha, in sRGB.
   *
   * @throws GlassineError `bad_option`, `bad_image`, `out_of_memory`, `aborted`, `disposed`, `worker_failed`.
   */
  async flatten(options: FlattenOptions = {}): Promise<Raster> {
    const { signal, background = this.background } = checkOptions("flatten", options, ["signal", "background"]);
    const scene = this.#toRaw({ ...this.toJSON(), background }, signal);
    return new Raster(await this.#call("flatten", scene, signal));
  }

  /**
   * The scene as an OpenRaster file, with its layers, for Krita, GIMP and others.
   *
   * @throws GlassineError `bad_option`, naming the layer, where the format cannot express it, and what
   * {@link Scene.flatten} throws.
   */
  async toOra(options: ExportOptions = {}): Promise<Blob> {
    return this.#export("ora", "toOra", "image/openraster", options);
  }

  /**
   * The scene as a PSD file, with its layers, for Photoshop and others.
   *
   * @throws GlassineError as {@link Scene.toOra} does.
   */
  async toPsd(options: ExportOptions = {}): Promise<Blob> {
    return this.#export("psd", "toPsd", "image/vnd.adobe.photoshop", options);
  }

  /**
   * The scene with its pictures as one file, a zip archive of `scene.json` and of
   * the pictures under the paths by which it names them, masks and what else
   * recipes name included, which {@link Scene.open} opens again. Files go in as they
   * are, other pictures as PNG.
   * `scene.glassine.zip` is a good name for it.
   *
   * @throws GlassineError `bad_option` for a scene that cannot be, or a path that leads out of the archive, `bad_image`,
   * and what {@link Scene.flatten} throws.
   */
  async toFile(options: ExportOptions = {}): Promise<Blob> {
    return this.#export("zip", "toFile", "application/zip", options);
  }

  /**
   * The visible layers and groups at the top of the scene as a sprite sheet: each
   * as it appears in the scene, alone, with the scene's size as its own. The JSON
   * is in the form of TexturePacker's "JSON hash", which Phaser, PixiJS and others
   * read.
   *
   * @throws GlassineError `bad_option` for no layers, or more than fit, and what {@link Scene.flatten} throws.
   */
  async toSpriteSheet(options: SpriteSheetOptions = {}): Promise<SpriteSheet> {
    const { signal, ...raw } = checkSheetOptions("toSpriteSheet", options);
    const request = this.#toRaw(this.toJSON(), signal).then((scene) => ({ ...scene, ...raw }));
    return fromRawSheet(await this.#call("sceneSprites", request, signal));
  }

  /** The scene file, to be saved beside the `images`. */
  toJSON(): SceneFile {
    const { width, height, background, space } = this;
    checkLayers(this.#layers);
    const file = { glassine: 1, width, height, background, space, layers: this.#layers, ...this.#other };
    return JSON.parse(JSON.stringify(file));
  }

  /** Ends the scene's worker, which the first call that computes, such as `flatten` or `toOra`, has started. What is not finished rejects with code `"disposed"`. */
  dispose(): void {
    this.#disposed = true;
    this.#queue.clear(disposed());
    this.#client?.close(disposed());
  }

  /** For `using scene = new Scene(...)`. */
  [dispose](): void {
    this.dispose();
  }

  #insert(layer: SceneLayer, place: Place): void {
    if (place === "top") this.#layers.push(layer);
    else if (place === "bottom") this.#layers.unshift(layer);
    else if (!isObject(place) || !["above", "below", "inside"].some((word) => word in place)) {
      throw new GlassineError("bad_option", `a place cannot be ${show(place)}`, {
        hint: 'Use "top", "bottom", { above: layer }, { below: layer } or { inside: group }.',
      });
    } else if ("inside" in place) this.#layersIn(place.inside).push(layer);
    else {
      const neighbour = "above" in place ? place.above : place.below;
      const list = this.#listOf(neighbour);
      list.splice(list.indexOf(neighbour) + ("above" in place ? 1 : 0), 0, layer);
    }
  }

  #layersIn(group: SceneLayer): SceneLayer[] {
    this.#listOf(group);
    if (group.layers) return group.layers;
    throw new GlassineError("bad_option", "this layer is no group", { hint: "Make one with addGroup." });
  }

  /** The list that holds a layer: the scene's own, or a group's. */
  #listOf(layer: SceneLayer): SceneLayer[] {
    const list = findList(this.#layers, layer);
    if (list) return list;
    throw new GlassineError("bad_option", "this layer is not there in the scene", {
      hint: "Name one that add has given, or one of the scene's layers.",
    });
  }

  /** A path that no other picture has, after the layer's name or role. */
  #newPath({ name, role }: LayerSettings, picture: Picture): string {
    const words = (name ?? role ?? "").toLowerCase().match(/[\p{L}\p{N}]+/gu)?.slice(0, 8) ?? ["layer"];
    const extension = (picture instanceof Blob && extensions[picture.type]) || "png";
    const taken = new Set([...this.#pictures.keys(), ...paths(this.#layers), ...pathsBeside(this.#layers)]);
    for (let count = 1; ; count++) {
      const path = `${words.join("-")}${count > 1 ? `-${count}` : ""}.${extension}`;
      if (!taken.has(path)) return path;
    }
  }

  async #toRaw(file: SceneFile, signal: AbortSignal | undefined, images: ReadonlyMap<string, Picture> = this.#named(paths(this.#layers))): Promise<RawScene> {
    return { scene: JSON.stringify(file), pictures: await toRawPictures(images, signal) };
  }

  async #export(format: "ora" | "psd" | "zip", call: string, type: string, options: ExportOptions): Promise<Blob> {
    const { signal } = checkOptions(call, options, ["signal"]);
    const file = this.toJSON();
    // Only there have recipes the pictures that they name beside them.
    const isWhole = format === "zip";
    if (!isWhole) forgetPictures(file.layers ?? []);
    const scene = this.#toRaw(file, signal, isWhole ? this.images : undefined);
    const request = scene.then((scene) => ({ ...scene, format }));
    return new Blob([await this.#call("export", request, signal)], { type });
  }

  async #call<Type extends "flatten" | "export" | "open" | "sceneSprites">(
    type: Type,
    scene: Promise<Calls[Type]["request"]>,
    signal: AbortSignal | undefined,
  ): Promise<Calls[Type]["answer"]> {
    // A scene that never comes to its turn must not count as an unhandled rejection.
    scene.catch(() => {});
    if (this.#disposed) throw disposed();
    return this.#queue.add(async () => {
      if (!this.#client || this.#client.closed) this.#client = new WorkerClient(composeWorker);
      return this.#client.call(type, await scene, { signal });
    }, signal);
  }
}

async function toRawPictures(images: ReadonlyMap<string, Picture>, signal: AbortSignal | undefined): Promise<Map<string, RawPicture>> {
  const raw = [...images].map(async ([name, picture]) => [name, await toRawPicture(picture, { name, signal })] as const);
  return new Map(await Promise.all(raw));
}

/** Takes what recipes say of pictures out of a copy of the layers. */
function forgetPictures(layers: readonly Partial<SceneLayer>[]): void {
  for (const { recipe, layers: inside } of layers) {
    for (const name of pictureOptions) if (recipe) delete recipe[name];
    forgetPictures(inside ?? []);
  }
}

/** A picture of a file that was opened, as a page uses it. */
function fromRawPicture(image: RawPicture): Picture {
  if (!(image instanceof Uint8Array)) return new Raster(image);
  const type = image[0] === 0xff ? "image/jpeg" : image[0] === 0x52 ? "image/webp" : "image/png";
  return new Blob([image], { type });
}

const settingNames = [...Object.keys(layerDefaults), "name", "role", "recipe", "mask", "image", "layers"];

/**
 * Refuses what a slip, or another library's word, makes of a setting. Other names are a page's own, and stay with the layer; what
 * a setting is, may change later, and is checked when the scene is flattened.
 */
function checkSettings(call: string, settings: LayerSettings): void {
  checkObject(call, settings);
  checkKinds(settings, { name: "text", role: "text", mask: "text" });
  for (const name of Object.keys(settings)) {
    const hint = settingNames.includes(name) ? undefined : suggestion(name, settingNames, "settings");
    if (hint !== undefined) throw new GlassineError("bad_option", `a layer has no setting "${name}"`, { hint });
  }
}

function withDefaults(layer: Partial<SceneLayer>): SceneLayer {
  const filled: SceneLayer = { ...layerDefaults, ...layer };
  if (layer.layers) filled.layers = layer.layers.map(withDefaults);
  return filled;
}

/** A copy of a scene file, of whose layers it is known that they are layers. */
function readFile(json: string | SceneFile): SceneFile {
  let file: unknown;
  try {
    file = JSON.parse(typeof json === "string" ? json : JSON.stringify(json));
  } catch (cause) {
    throw new GlassineError("bad_option", "the scene is not JSON", { cause });
  }
  if (!isObject(file)) throw new GlassineError("bad_option", "the scene is not a JSON object");
  if (file["glassine"] !== undefined && file["glassine"] !== 1) {
    throw new GlassineError("bad_option", `the scene has version ${String(file["glassine"])} of the format`, {
      hint: "This glassine reads version 1.",
    });
  }
  checkLayers(file["layers"]);
  return file as unknown as SceneFile;
}

function checkLayers(layers: unknown, depth = 0): void {
  if (layers === undefined) return;
  checkDepth(depth);
  if (!Array.isArray(layers) || !layers.every(isObject)) {
    throw new GlassineError("bad_option", "the layers of the scene are not a list of objects");
  }
  for (const layer of layers) checkLayers(layer["layers"], depth + 1);
}

/** Also ends what would never end: a group that a page has put into itself. */
function checkDepth(depth: number): void {
  if (depth > maxSceneDepth) throw new GlassineError("bad_option", `the scene has groups within groups, more than ${maxSceneDepth} deep`);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The paths of all pictures, those in groups included. */
function paths(layers: readonly SceneLayer[], depth = 0): string[] {
  checkDepth(depth);
  return layers.flatMap(({ image, layers }) => [
    ...(image === undefined ? [] : [image]),
    ...(layers ? paths(layers, depth + 1) : []),
  ]);
}

function findList(list: SceneLayer[], layer: SceneLayer, depth = 0): SceneLayer[] | undefined {
  if (list.includes(layer)) return list;
  checkDepth(depth);
  for (const { layers } of list) {
    const found = layers && findList(layers, layer, depth + 1);
    if (found) return found;
  }
  return undefined;
}

function disposed(): GlassineError {
  return new GlassineError("disposed", "the scene was disposed", { hint: "Make another: Scene.fromJSON copies it." });
}
