// The pieces of code that the guide shows, each run once.

import {
  checkSupport,
  createEngine,
  type Engine,
  type GenerateOptions,
  GlassineError,
  type Layer,
  readRecipe,
  Scene,
} from "glassine";
import { models } from "glassine/models";
import { figure, onSubmit, say } from "../page.ts";

async function start(): Promise<Engine> {
  // #region support
  const support = await checkSupport(); // before anything is downloaded
  if (!support.ok) throw new Error(support.reasons.join(" "));
  // #endregion
  // #region create
  const engine = await createEngine({
    model: "mini",
    device: support.recommended, // "webgpu" or "cpu"; "auto" if left out
    onProgress(progress) {
      if (progress.phase === "loading")
        say(`${progress.loadedBytes} of ${progress.totalBytes} bytes`);
    },
  });
  // #endregion
  return engine;
}

async function generating(engine: Engine): Promise<Element[]> {
  const canvas = document.createElement("canvas");
  // #region generate
  const { layers, warnings, timings } = await engine.generate({
    prompt: "a (red:1.2) apple",
    negativePrompt: "blurry",
    seed: 7,
    steps: 20,
    guidance: 4,
    onProgress(progress) {
      if (progress.phase === "denoising")
        say(`${progress.step} of ${progress.steps}`);
    },
    previewEvery: 5,
    onPreview(preview, { step, steps }) {
      canvas.width = preview.width;
      canvas.height = preview.height;
      canvas.getContext("2d")!.putImageData(preview, 0, 0);
      canvas.title = `${step} of ${steps}`;
    },
  });
  const [apple] = layers; // always at least one
  // #endregion
  say([...warnings, ...Object.keys(timings)].join(", "));

  // #region variation
  const variation = { seed: 8, amount: 0.2 };
  const similar = await engine.generate({
    prompt: "a red apple",
    seed: 7,
    variation,
  });
  // #endregion

  // #region init
  const greener = await engine.generate({
    prompt: "a green apple",
    init: apple,
    strength: 0.6,
  });
  // #endregion
  // #region keep-alpha
  const white = new ImageData(apple.width, apple.height);
  white.data.fill(255);
  const recoloured = await engine.generate({
    prompt: "a green apple",
    init: apple,
    mask: white,
    keepAlpha: true,
  });
  // #endregion

  // #region latent
  const latent = await engine.encode(apple); // plain data: it can be stored and cloned
  const decoded = await engine.decode(latent, { passes: 1 });
  // #endregion
  const pictures = [
    apple,
    similar.layers[0],
    greener.layers[0],
    recoloured.layers[0],
    decoded,
  ];
  return Promise.all(
    pictures.map(async (layer) =>
      figure(`${layer.role} of seed ${layer.seed}`, await layer.toBlob()),
    ),
  );
}

async function transparency(layer: Layer): Promise<Element[]> {
  // #region pixels
  layer.imageData; // RGBA, 8 bits, straight alpha, sRGB
  const png = await layer.toBlob(); // a PNG of the same, with the colour under alpha 0
  const url = await layer.toDataURL(); // the same PNG as a data: URL
  const canvas = layer.toCanvas(); // premultiplied, as every canvas is
  const bitmap = await layer.toImageBitmap(); // premultiplied, for drawing
  const straight = await layer.toImageBitmap({ premultiplyAlpha: "none" });
  // #endregion
  straight.close();

  const gl = document.createElement("canvas").getContext("webgl2");
  if (gl) {
    // #region webgl
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, bitmap);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA); // for premultiplied colours
    // #endregion
  }
  return [
    Object.assign(new Image(), { src: url, alt: "As a data: URL" }),
    canvas,
    figure("As a file", png),
  ];
}

async function scenes(layer: Layer): Promise<Element[]> {
  // #region scene
  const scene = new Scene(256, 128, { background: "#f4e9d8" });
  const apple = scene.add(layer, { name: "apple", x: 32, y: 32 });
  scene.add(layer, {
    name: "ghost",
    x: 160,
    y: 32,
    scale: 1.5,
    rotate: 20,
    opacity: 0.6,
    blend: "multiply",
  });

  apple.flip = true; // settings are plain fields
  // Or "bottom", { above: other }, { below: other }, { inside: group }.
  scene.move(apple, "top");

  // Has .imageData, .toBlob(), .toCanvas() and the rest, as a layer has them.
  const picture = await scene.flatten();
  // #endregion

  // #region group
  const pair = scene.addGroup({ name: "pair", opacity: 0.8 });
  scene.move(apple, { inside: pair });
  // #endregion

  // #region save
  const file = JSON.stringify(scene); // the scene file
  const pictures = scene.images; // the pictures under the paths by which it names them
  const copy = Scene.fromJSON(file, pictures);

  const ora = await copy.toOra(); // OpenRaster, for Krita and GIMP
  const psd = await copy.toPsd(); // for Photoshop
  copy.dispose();
  // #endregion
  scene.dispose();
  return [
    figure("Two apples", await picture.toBlob(), {
      "scene.ora": ora,
      "scene.psd": psd,
    }),
  ];
}

/** A mask that is white in the lower half. */
function lowerHalf({ width, height }: Layer): ImageData {
  const mask = new ImageData(width, height);
  mask.data.fill(255, 4 * width * Math.floor(height / 2));
  return mask;
}

async function editing(engine: Engine, layer: Layer): Promise<Element[]> {
  // #region repaint
  const mask = lowerHalf(layer); // an ImageData, a canvas, a file: any picture
  const {
    layers: [repainted],
  } = await engine.generate({
    prompt: "a glass bowl",
    init: layer,
    mask,
    maskSoftness: 8, // a soft edge inside of the mask
  });
  // #endregion

  // #region extend
  const wider = await engine.extend(repainted, {
    left: 8,
    right: 16, // in pixels
    prompt: "a glass bowl on a table",
  });
  // #endregion

  // #region enlarge
  const larger = await engine.enlarge(wider, { scale: 2, strength: 0.3 });
  // #endregion

  // #region keep
  const scene = new Scene(layer.width, layer.height);
  scene.add(repainted, {
    name: "bowl",
    recipe: {
      ...repainted.recipe,
      init: scene.addPicture(layer, "bowl before"),
      mask: scene.addPicture(mask, "bowl mask"),
    },
  });
  const file = await scene.toFile();

  const reopened = await Scene.open(file);
  const { model, init, mask: where, ...options } = reopened.layers[0]!.recipe!;
  const again = await engine.generate({
    prompt: "",
    ...options,
    seed: 12,
    init: reopened.images.get(String(init)),
    mask: reopened.images.get(String(where)),
  });
  // #endregion
  scene.dispose();
  reopened.dispose();
  const pictures = [repainted, wider, larger, again.layers[0]];
  return Promise.all(
    pictures.map(async (picture) =>
      figure(`${picture.width} x ${picture.height}`, await picture.toBlob()),
    ),
  );
}

async function storage(pack: string): Promise<void> {
  // #region import
  const { downloadBytes, usage, quota } = await models.estimate(pack);
  if (usage + downloadBytes > quota)
    throw new Error("There is too little room for this model.");

  const { name } = await models.import(pack, {
    name: "my-model", // the pack's own name if left out
    onProgress(progress) {
      if (progress.phase === "downloading")
        say(`${progress.loadedBytes} of ${progress.totalBytes} bytes`);
    },
  });
  const engine = await createEngine({ model: name }); // from now on without a network
  // #endregion
  await engine.dispose();

  // #region manage
  for (const { name, bytes, complete } of await models.list())
    console.log(name, bytes, complete);
  const { intact, missing, damaged } = await models.verify(name, { repair: true });
  if (!intact) console.warn(missing, damaged);
  await models.remove(name);
  // #endregion
}

async function memory(): Promise<string> {
  // #region memory
  const { gpuMemory } = await models.estimate("mini", { width: 512, height: 512 });
  const engine = await createEngine({
    model: "mini",
    memoryLimit: gpuMemory.oneAtATime,
  });
  // #endregion
  await engine.dispose();
  return `${gpuMemory.oneAtATime} bytes`;
}

async function cancelling(engine: Engine): Promise<string> {
  const cancel = document.createElement("button");
  // #region cancel
  const controller = new AbortController();
  cancel.addEventListener("click", () => controller.abort());
  const request = engine.generate({
    prompt: "a red apple",
    signal: controller.signal,
  });
  // #endregion
  cancel.click();
  return request.then(
    () => "done",
    ({ name }) => name,
  );
}

async function failing(engine: Engine): Promise<Layer | undefined> {
  // #region errors
  try {
    const { layers } = await engine.generate({ prompt: "a red apple", width: 100 });
    return layers[0];
  } catch (error) {
    if (!(error instanceof GlassineError)) throw error;
    if (error.code === "aborted") return undefined;
    // Only decoding failed: the picture is there and can be decoded again.
    if (error.latent) return (await engine.decodeAll(error.latent, { passes: 1 }))[0];
    say(`${error.message}. ${error.hint}`);
    if (error.recoverable) console.warn("the same request may work again");
    return undefined;
  }
  // #endregion
}

async function again(engine: Engine, layer: Layer): Promise<Layer> {
  // #region recipe
  const { model, ...request } = layer.recipe!;
  if (model !== `sha256:${engine.info.sha256}`)
    throw new Error("another model made it");
  const { layers } = await engine.generate({ prompt: "", ...request });
  // #endregion
  return layers[0];
}

async function howItWasMade(picture: File): Promise<GenerateOptions | undefined> {
  // #region read-recipe
  const read = await readRecipe(picture);
  if (!read) return undefined; // it does not say
  const { prompt = "", negativePrompt, seed, steps } = read.recipe as Partial<GenerateOptions>;
  console.log(read.warnings, read.others["Model"]);
  return { prompt, negativePrompt, seed, steps };
  // #endregion
}

onSubmit(async (fields) => {
  const engine = await start();
  const pictures = await generating(engine);
  const {
    layers: [layer],
  } = await engine.generate({ prompt: "a blue glass ball", seed: 3 });
  pictures.push(
    ...(await transparency(layer)),
    ...(await scenes(layer)),
    ...(await editing(engine, layer)),
  );
  const same = await again(engine, layer);
  const said = await howItWasMade(new File([await layer.toBlob()], "ball.png"));
  if (said?.seed !== 3) throw new Error("the picture does not say its seed");
  const text = [
    await cancelling(engine),
    (await failing(engine)) ?? "refused",
    same.imageData.data.join() === layer.imageData.data.join(),
  ];
  await engine.dispose();
  text.push(await memory());
  const pack = String(fields.get("pack"));
  if (pack) await storage(pack);
  return [
    ...pictures,
    Object.assign(document.createElement("p"), { textContent: text.join(", ") }),
  ];
});
