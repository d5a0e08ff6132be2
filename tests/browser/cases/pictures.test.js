// Pictures go in: encoded, started from, and refused.

import assert from "node:assert/strict";
import { test } from "node:test";
import { packTinyModel } from "../lib/golden.js";
import { scratch } from "../lib/native.js";
import { open } from "../lib/open.js";
import { sharedBrowser } from "../lib/shared-browser.js";
import { packageFolder, serveFolders } from "../lib/site.js";

test("a layer is encoded into a latent that decodes into much the same layer", async (t) => {
  const page = await open(t);
  const result = await page.evaluate(async () => {
    const engine = await glassine.createEngine({ model: "mini", device: "cpu" });
    const { layers } = await engine.generate({ prompt: "a red apple", seed: 7, steps: 10, decodePasses: 1 });
    const latent = await engine.encode(layers[0]);
    const ofFile = await engine.encode(await layers[0].toBlob());
    const decoded = await engine.decode(latent, { passes: 1 });
    const alpha = (layer) => Array.from(layer.imageData.data).filter((_, index) => index % 4 === 3);
    return {
      side: engine.info.defaults.width / 8,
      latent: { ...latent, data: Array.from(latent.data) },
      ofFile: Array.from(ofFile.data),
      before: alpha(layers[0]),
      after: alpha(decoded),
    };
  });
  assert.deepEqual([result.latent.frames, result.latent.width, result.latent.height], [1, result.side, result.side]);
  assert.deepEqual(result.latent.data, result.ofFile, "a PNG keeps everything");
  const differences = result.before.map((value, index) => Math.abs(value - result.after[index]) / 255);
  const mean = differences.reduce((sum, value) => sum + value, 0) / differences.length;
  t.diagnostic(`mean difference of alpha: ${mean}`);
  assert.ok(mean < 0.1);
});

test("a picture is a start, and its size is checked or fitted", async (t) => {
  const page = await open(t);
  const result = await page.evaluate(async () => {
    const engine = await glassine.createEngine({ model: "mini", device: "cpu" });
    const options = { prompt: "a red apple", seed: 7, steps: 4, decodePasses: 1 };
    const { layers } = await engine.generate(options);
    const near = await engine.generate({ ...options, seed: 8, init: layers[0], strength: 0.25 });
    const wide = new ImageData(100, 50);
    const refused = await engine.generate({ ...options, init: wide }).catch((error) => error.code);
    const fitted = await engine.generate({ ...options, init: wide, fit: true });
    const useless = await engine.generate({ ...options, init: "apple.png" }).catch((error) => error.code);
    const text = new Blob(["no picture"], { type: "image/png" });
    const unreadable = await engine.encode(text).catch((error) => error.code);
    return { near: near.layers.length, refused, fitted: fitted.layers.length, useless, unreadable };
  });
  assert.deepEqual(result, { near: 1, refused: "bad_image", fitted: 1, useless: "bad_image", unreadable: "bad_image" });
});

test("a recipe names the options of a picture, and holds no pictures itself", async (t) => {
  const page = await open(t, { pack: packTinyModel(scratch(t)) });
  const { recipes, controlled, sha256 } = await page.evaluate(async () => {
    const engine = await glassine.createEngine({ model: "/pack/", device: "cpu" });
    const picture = new ImageData(new Uint8ClampedArray(64 * 64 * 4).fill(200), 64, 64);
    const options = { prompt: "an apple", seed: 1, steps: 2, guidance: 2, decodePasses: 1, width: 64, height: 64 };
    const requests = [
      { ...options, mode: "opaque" },
      { ...options, mode: "opaque", control: picture, controlScale: 2, controlEnd: 0.5 },
      { ...options, mode: "opaque", init: picture, strength: 0.5 },
      { ...options, mode: "bg2fg", background: picture },
      { ...options, mode: "fg2bg", foreground: picture },
    ];
    const made = [];
    for (const request of requests) made.push((await engine.generate(request)).layers[0]);
    return {
      recipes: made.map(({ recipe }) => recipe),
      controlled: made[0].imageData.data.join() !== made[1].imageData.data.join(),
      sha256: engine.info.sha256,
    };
  });
  const common = { prompt: "an apple", seed: 1, steps: 2, guidance: 2, decodePasses: 1, width: 64, height: 64 };
  const expected = [
    { mode: "opaque" },
    { mode: "opaque", controlScale: 2, controlEnd: 0.5 },
    { mode: "opaque", strength: 0.5 },
    { mode: "bg2fg" },
    { mode: "fg2bg" },
  ];
  const { sampler, clipSkip } = recipes[0];
  assert.deepEqual(recipes, expected.map((own) => ({ ...common, ...own, sampler, clipSkip, model: `sha256:${sha256}` })));
  assert.ok(controlled, "the picture did steer");
});

/** Opens a page without a policy, with the package as `glassine` and a picture of four pixels as `layer`. */
async function openWithPicture(t) {
  const site = await serveFolders({ "/glassine/": packageFolder });
  t.after(() => site.close());
  const page = await (await sharedBrowser("none")).newPage();
  t.after(() => page.close());
  await page.goto(site.url);
  await page.evaluate(async () => {
    window.glassine = await import("/glassine/dist/index.js");
    const scene = new glassine.Scene(2, 2);
    const pixels = [255, 0, 0, 255, 0, 255, 0, 255, 0, 0, 255, 255, 9, 9, 9, 0];
    scene.add(new ImageData(new Uint8ClampedArray(pixels), 2, 2));
    window.layer = await scene.flatten();
  });
  return page;
}

test("whatever a canvas can draw is a picture, and so is a URL", async (t) => {
  const page = await openWithPicture(t);
  const { flat, failures } = await page.evaluate(async () => {
    const { Scene } = glassine;
    const blob = await layer.toBlob();
    const image = new Image();
    image.src = URL.createObjectURL(blob);
    const loaded = new Image();
    loaded.src = await layer.toDataURL();
    await loaded.decode();
    const pictures = {
      Layer: layer,
      ImageData: layer.imageData,
      Blob: blob,
      canvas: layer.toCanvas(),
      OffscreenCanvas: layer.toOffscreenCanvas(),
      ImageBitmap: await layer.toImageBitmap(),
      "image that loads": image,
      image: loaded,
      VideoFrame: new VideoFrame(layer.toCanvas(), { timestamp: 0 }),
      "data: URL": await layer.toDataURL(),
      "blob: URL": new URL(image.src),
    };
    const flatten = async (picture) => {
      const scene = new Scene(2, 2);
      scene.add(picture);
      return Array.from((await scene.flatten()).imageData.data);
    };
    const flat = {};
    for (const [name, picture] of Object.entries(pictures)) flat[name] = await flatten(picture);

    const closed = await layer.toImageBitmap();
    closed.close();
    const broken = new Image();
    broken.src = "/nothing.png";
    const useless = { closed, broken, empty: document.createElement("div"), webgl: new OffscreenCanvas(0, 4), missing: "/nothing.png" };
    const failures = {};
    for (const [name, picture] of Object.entries(useless)) failures[name] = await flatten(picture).catch(({ code, message }) => [code, message]);
    return { flat, failures };
  });
  const opaque = [255, 0, 0, 255, 0, 255, 0, 255, 0, 0, 255, 255];
  for (const [name, pixels] of Object.entries(flat)) {
    assert.deepEqual(pixels.slice(0, 12), opaque, name);
    assert.equal(pixels[15], 0, name);
  }
  for (const [name, [code, message]] of Object.entries(failures)) {
    assert.equal(code, "bad_image", name);
    assert.ok(message.length > 0);
  }
});

test("a canvas is read when it is given, and what is no picture is refused by the option's name", async (t) => {
  const page = await openWithPicture(t);
  const { codes, first, later } = await page.evaluate(async () => {
    const engine = await glassine.createEngine({ model: "mini", device: "cpu" });
    const canvas = new OffscreenCanvas(64, 64);
    const context = canvas.getContext("2d");
    context.fillStyle = "#c03020";
    context.fillRect(0, 0, 64, 64);
    const bytes = async (latent) => (await latent).data.join();
    const first = bytes(engine.encode(canvas));
    const again = bytes(engine.encode(canvas));
    context.clearRect(0, 0, 64, 64);
    const later = await bytes(engine.encode(canvas));
    const codes = [];
    for (const init of [7, "", {}, document.body]) {
      codes.push(await engine.generate({ prompt: "a red apple", init }).catch(({ code, message }) => [code, message.split(" ")[0]]));
    }
    return { codes, first: (await first) === (await again), later: later === (await first) };
  });
  assert.ok(first, "what was drawn when it was given");
  assert.equal(later, false);
  assert.deepEqual(codes, Array(4).fill(["bad_image", "init"]));
});

test("a layer as a data: URL and as a canvas", async (t) => {
  const page = await openWithPicture(t);
  const { same, start, canvases } = await page.evaluate(async () => {
    const url = await layer.toDataURL();
    const bytes = async (from) => new Uint8Array(await from.arrayBuffer()).join();
    const canvases = [layer.toCanvas(), layer.toOffscreenCanvas()].map((canvas) => [
      canvas.constructor.name,
      Array.from(canvas.getContext("2d").getImageData(0, 0, 2, 2).data),
    ]);
    return { same: (await bytes(await fetch(url))) === (await bytes(await layer.toBlob())), start: url.slice(0, 22), canvases };
  });
  assert.equal(start, "data:image/png;base64,");
  assert.ok(same, "the very PNG of toBlob");
  const drawn = [255, 0, 0, 255, 0, 255, 0, 255, 0, 0, 255, 255, 0, 0, 0, 0];
  assert.deepEqual(canvases, [["HTMLCanvasElement", drawn], ["OffscreenCanvas", drawn]]);
});
