// Pictures go in: encoded, started from, and refused.

import assert from "node:assert/strict";
import { test } from "node:test";
import { packTinyModel } from "../lib/golden.js";
import { scratch } from "../lib/native.js";
import { open } from "../lib/open.js";

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
      latent: { ...latent, data: Array.from(latent.data) },
      ofFile: Array.from(ofFile.data),
      before: alpha(layers[0]),
      after: alpha(decoded),
    };
  });
  assert.deepEqual([result.latent.frames, result.latent.width, result.latent.height], [1, 8, 8]);
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
