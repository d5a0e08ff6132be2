// The types as a user of the package meets them. It is compiled, not run.

import {
  blendModes,
  checkSupport,
  configure,
  createEngine,
  type Engine,
  GlassineError,
  type GlassineErrorCode,
  type Latent,
  type Layer,
  type LoraOption,
  type ModelSource,
  operators,
  type Progress,
  readRecipe,
  type ReadRecipe,
  type RecipeFile,
  type Raster,
  type Recipe,
  Scene,
  type SceneFile,
  type SceneLayer,
  type SpriteFrame,
  type SpriteSheet,
  toSpriteSheet,
  type Trimmed,
} from "glassine";
import {
  models,
  type ModelEstimate,
  type Quantization,
  type ShelfFile,
  type ShelfKind,
  type ShelfProgress,
  type StorageProgress,
  type StoredModel,
} from "glassine/models";

async function everyday(signal: AbortSignal): Promise<Blob> {
  const support = await checkSupport();
  await using engine = await createEngine({ model: "mini", device: support.recommended, signal });
  const { layers, latent, timings, warnings, embeddings } = await engine.generate({
    prompt: "a red apple",
    negativePrompt: "blurry",
    mode: "single",
    width: engine.info.defaults.width,
    sampler: "euler-a",
    convention: "k-diffusion",
    control: new ImageData(64, 64),
    clipSkip: engine.info.defaults.clipSkip,
    embeddings: [{ file: new File([], "style.pt") }, { file: new Uint8Array(), name: "other" }],
    controlEnd: 0.5,
    vae: "full",
    seed: 7,
    previewEvery: 2,
    signal,
    onProgress: (progress) => console.log(describe(progress)),
  });
  const notes: string = [...warnings, ...embeddings].join();
  const milliseconds: number | undefined = timings["denoising"];
  const again: Layer = await engine.decode(latent, { passes: 1 });
  const all: Layer[] = await engine.decodeAll(latent);
  const pixels: ImageData = again.imageData;
  const bitmap: ImageBitmap = await again.toImageBitmap({ premultiplyAlpha: "none" });
  return (all[0] ?? layers[0]).toBlob();
}

async function ownSource(files: Map<string, File>): Promise<void> {
  const model: ModelSource = {
    async read(path, { signal, again }) {
      signal.throwIfAborted();
      if (again) files.delete(path);
      return files.get(path) ?? new Uint8Array();
    },
  };
  const loras: LoraOption[] = [{ file: new URL("https://example.com/lora.safetensors"), strength: 0.6 }, { file: new Blob() }];
  await createEngine({ model, loras });
}

async function collage(layer: Layer, photo: File, signal: AbortSignal): Promise<Blob> {
  using scene = new Scene(512, 512, { background: "#ffffff", space: "linear" });
  const apple: SceneLayer = scene.add(layer, { name: "apple", x: 40, y: 10, scale: 0.5, rotate: 30, flip: true });
  const group = scene.addGroup({ opacity: 0.8, blend: "multiply" }, "bottom");
  scene.add(photo, { operator: "source-atop", visible: false }, { inside: group });
  apple.blend = blendModes[3];
  apple.operator = operators[1];
  scene.move(apple, { below: group });
  scene.remove(group);
  const recipe: Readonly<Recipe> | undefined = layer.recipe;
  console.log(recipe?.prompt, recipe?.seed, recipe?.["steps"]);
  const file: SceneFile = scene.toJSON();
  const copy = Scene.fromJSON(JSON.stringify(file), scene.images);
  const files: Blob[] = [await copy.toOra(), await copy.toPsd({ signal }), await copy.toFile({ signal }), await layer.toWebp()];
  const opened: Scene = await Scene.open(photo, { signal, name: "photo.psd" });
  const notes: readonly string[] = opened.warnings;
  const { picture, x }: Trimmed = layer.trim();
  opened.add(picture, { x });
  const sheet: SpriteSheet = await toSpriteSheet(new Map([["apple", layer]]), { trim: false, padding: 1, maxSide: 512, signal });
  const frame: SpriteFrame | undefined = (await opened.toSpriteSheet({ image: "sheet.webp" })).json.frames["apple"];
  console.log(notes.length, sheet.picture.width, sheet.json.meta.size.w, frame?.spriteSourceSize.x);
  console.log(files.length);
  const flat: Raster = await copy.flatten({ signal, background: "#00000000" });
  copy.dispose();
  return flat.toBlob();
}

async function howItWasMade(picture: File, signal: AbortSignal): Promise<string | undefined> {
  const read: ReadRecipe | undefined = await readRecipe(picture, { signal });
  const files = (read?.recipe["loras"] ?? []) as readonly RecipeFile[];
  const lora: LoraOption = { file: picture, name: files[0]?.name, hash: files[0]?.hash };
  // @ts-expect-error not a picture's file
  await readRecipe(7);
  return read?.recipe.prompt ?? read?.others["Model"] ?? read?.warnings.join() ?? lora.hash;
}

async function iterate(engine: Engine, scene: Scene, signal: AbortSignal): Promise<void> {
  const cat: SceneLayer = await engine.addLayer(scene, { prompt: "a cat", seed: 2, signal });
  await engine.addLayer(scene, { prompt: "a garden", where: "behind", previewEvery: 2 });
  cat.x += 10;
}

async function elsewhere(image: HTMLImageElement, canvas: OffscreenCanvas): Promise<string> {
  configure({ assets: (path) => new URL(path, "https://files.example/glassine/") });
  const engine = await createEngine({ model: new URL("https://example.com/pack/"), store: { name: "pack", onProgress: (progress) => console.log(describeStorage(progress)) } });
  const { layers } = await engine.generate({
    prompt: "a red apple",
    init: image,
    control: canvas,
    onPreview: (preview, { step, steps }) => console.log(preview.width, step, steps),
  });
  // At least one, whatever noUncheckedIndexedAccess says of arrays.
  const first: Layer = layers[0];
  document.body.append(first.toCanvas());
  await engine.encode("/apple.png");
  return first.toDataURL();
}

async function tryAgain(engine: Engine): Promise<void> {
  try {
    await engine.generate({ prompt: "a pear" });
  } catch (error) {
    if (!(error instanceof GlassineError)) throw error;
    const latent: Latent | undefined = error.latent;
    if (latent) await engine.decodeAll(latent);
  }
}

/** Every kind of progress, and no other. */
function describe(progress: Progress): string {
  switch (progress.phase) {
    case "loading":
      return `${progress.loadedBytes}/${progress.totalBytes}`;
    case "encoding":
      return "encoding";
    case "denoising":
      return `${progress.step}/${progress.steps} ${progress.preview?.width ?? ""}`;
    case "decoding":
      return `${progress.pass}/${progress.passes}`;
    default:
      return progress satisfies never;
  }
}

/** Every code, and no other: a new one is added here on purpose. */
function isFaultOfTheModel(code: GlassineErrorCode): boolean {
  switch (code) {
    case "model_not_found":
    case "model_damaged":
    case "model_unsupported":
      return true;
    case "aborted":
    case "bad_option":
    case "bad_image":
    case "unsupported_mode":
    case "io":
    case "network":
    case "quota_exceeded":
    case "storage_unavailable":
    case "device_unavailable":
    case "device_lost":
    case "out_of_memory":
    case "non_finite":
    case "worker_failed":
    case "disposed":
    case "internal":
      return false;
    default:
      return code satisfies never;
  }
}

async function mistakes(): Promise<void> {
  // @ts-expect-error a model is needed
  await createEngine({});
  // @ts-expect-error not a device
  const engine = await createEngine({ model: "mini", device: "abacus" });
  // @ts-expect-error a prompt is needed
  await engine.generate({});
  // @ts-expect-error not a sampler
  await engine.generate({ prompt: "a plum", sampler: "magic" });
  const scene = new Scene(8, 8);
  const path: string = scene.addPicture(new Blob(), "before");
  scene.add(new Blob(), { mask: path, recipe: { prompt: "an apple", init: path, mask: path } });
  // @ts-expect-error not a blend mode
  scene.add(new Blob(), { blend: "magic" });
  // @ts-expect-error the scene decides its layers' mode
  await engine.addLayer(scene, { prompt: "a plum", mode: "single" });
  // @ts-expect-error layers are put in by add
  scene.layers.push(scene.layers[0]);
  // @ts-expect-error nothing of an engine can be set
  engine.info = undefined;
}

async function store(signal: AbortSignal): Promise<StoredModel | undefined> {
  const { usage, quota, downloadBytes }: ModelEstimate = await models.estimate("https://example.com/dreamshaper/");
  if (downloadBytes > quota - usage) return undefined;
  const name: string = await models.nameOf("https://example.com/dreamshaper/", { signal });
  if ((await models.list()).some((model) => model.name === name)) return undefined;
  const onProgress = (progress: StorageProgress): void => console.log(describeStorage(progress));
  const model = await models.import(new URL("https://example.com/dreamshaper/"), { name: "dreamshaper", signal, onProgress });
  const { intact, missing, damaged } = await models.verify(model.name, { repair: true, onProgress });
  if (!intact) console.log([...missing, ...damaged].join());
  const others = (await models.list()).filter(({ complete, builtIn }) => !complete && !builtIn);
  const removed: boolean[] = await Promise.all(others.map(({ name }) => models.remove(name, { signal })));
  return removed.every(Boolean) && (await models.estimate()).persisted ? model : undefined;
}

async function storeFiles(checkpoint: File, folder: FileList, signal: AbortSignal): Promise<StoredModel[]> {
  const quantize: Quantization = "q8";
  const single = await models.import(checkpoint, { name: "dreamshaper", quantize, transparencyDecoder: checkpoint, signal });
  const loras = [{ file: checkpoint, strength: 0.8 }];
  const parts = { vae: checkpoint, textEncoder: folder, controlnet: checkpoint };
  await models.import(checkpoint, parts);
  return [single, await models.import(folder, { layers: { attn: checkpoint }, loras, controlnet: folder, vae: folder })];
}

/** Every kind of progress in storing a model, and no other. */
function describeStorage(progress: StorageProgress): string {
  switch (progress.phase) {
    case "waiting":
      return "another tab is at work";
    case "checking":
      return `${progress.checkedBytes}/${progress.totalBytes}`;
    case "downloading":
    case "packing":
      return `${progress.loadedBytes}/${progress.totalBytes}`;
    default:
      return progress satisfies never;
  }
}

async function keep(file: File, engine: Engine, signal: AbortSignal): Promise<string[]> {
  const onProgress = (progress: ShelfProgress): void => console.log(describeShelving(progress));
  const kept: ShelfFile = await models.shelf.add(file, { name: "ink", signal, onProgress });
  const kind: ShelfKind = kept.kind;
  const here: ShelfFile[] = await models.shelf.list({ model: "mini", signal });
  if (kind === "lora") await engine.generate({ prompt: kept.triggerWords.join(), loras: [{ file: kept.name, hash: kept.shortHash }] });
  if (kind === "embedding") await engine.generate({ prompt: kept.name, embeddings: [{ file: kept.name }] });
  if (kind === "controlnet") await models.import(file, { controlnet: await models.shelf.open(kept.name) });
  const removed: boolean = await models.shelf.remove(kept.name, { signal });
  return removed ? here.flatMap(({ misfit }) => misfit ?? []) : [];
}

/** Every kind of progress in putting a file on the shelf, and no other. */
function describeShelving(progress: ShelfProgress): string {
  switch (progress.phase) {
    case "waiting":
      return "another tab is at work";
    case "checking":
      return `${progress.checkedBytes}/${progress.totalBytes}`;
    case "storing":
      return `${progress.loadedBytes}/${progress.totalBytes}`;
    default:
      return progress satisfies never;
  }
}
