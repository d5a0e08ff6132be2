// A part of a picture is made anew, and the rest of it stays, bit for bit.

import assert from "node:assert/strict";
import { test } from "node:test";
import { open } from "../lib/open.js";

test("what a mask keeps is the picture's own, its colour under alpha 0 too", async (t) => {
  const page = await open(t);
  const result = await page.evaluate(async () => {
    const engine = await glassine.createEngine({ model: "mini", device: "cpu" });
    const options = { prompt: "a red apple", width: 64, height: 64, steps: 4, decodePasses: 1 };
    const { layers } = await engine.generate({ ...options, seed: 7 });
    // A disc that is not aligned with the latent's cells.
    const inside = (index) => Math.hypot((index % 64) - 27.5, Math.floor(index / 64) - 33) < 13;
    const mask = new ImageData(64, 64);
    for (let index = 0; index < 64 * 64; index++) mask.data.set(inside(index) ? [255, 255, 255, 255] : [0, 0, 0, 255], 4 * index);
    const repainted = await engine.generate({ ...options, prompt: "a blue ball", seed: 8, init: layers[0], mask });
    const soft = await engine.generate({ ...options, prompt: "a blue ball", seed: 8, init: layers[0], mask, maskSoftness: 4, keepAlpha: true });
    const pixels = (layer) => Array.from({ length: 64 * 64 }, (_, index) => layer.imageData.data.slice(4 * index, 4 * index + 4).join());
    const [before, after, softly] = [layers[0], repainted.layers[0], soft.layers[0]].map(pixels);
    const changed = (now) => now.flatMap((pixel, index) => (pixel === before[index] ? [] : [index]));
    const alpha = (layer) => layer.imageData.data.filter((_, index) => index % 4 === 3).join();
    return {
      outside: [after, softly].flatMap(changed).filter((index) => !inside(index)).length,
      inside: changed(after).length,
      sameAlpha: alpha(soft.layers[0]) === alpha(layers[0]),
      recipe: repainted.layers[0].recipe,
    };
  });
  assert.equal(result.outside, 0);
  assert.ok(result.inside > 100, `${result.inside} pixels are new`);
  assert.ok(result.sameAlpha);
  assert.ok(!("mask" in result.recipe) && !("init" in result.recipe));
});

test("a mask that cannot be used says why", async (t) => {
  const page = await open(t);
  const messages = await page.evaluate(async () => {
    const engine = await glassine.createEngine({ model: "mini", device: "cpu" });
    const [picture, white] = [new ImageData(64, 64), new ImageData(64, 64)];
    white.data.fill(255);
    const requests = [
      { mask: white },
      { init: picture, mask: new ImageData(32, 32) },
      { init: picture, mask: new ImageData(64, 64) },
      { init: picture, maskCrop: 8 },
    ];
    const said = [];
    for (const request of requests) {
      said.push(await engine.generate({ prompt: "an apple", width: 64, height: 64, ...request }).then(() => "nothing", (error) => `${error.code}: ${error.message}`));
    }
    return said;
  });
  assert.match(messages[0], /^bad_option: .*without a picture/);
  assert.match(messages[1], /^bad_image: .*32 x 32/);
  assert.match(messages[2], /^bad_option: .*keeps everything/);
  assert.match(messages[3], /^bad_option: .*mask/);
});

test("a second pass enlarges a layer, and a variation is near it", async (t) => {
  const page = await open(t);
  const result = await page.evaluate(async () => {
    const engine = await glassine.createEngine({ model: "mini", device: "cpu" });
    const options = { prompt: "a red apple", width: 64, height: 64, seed: 7, steps: 4, decodePasses: 1 };
    const steps = [];
    const passes = [];
    const onProgress = (event) => {
      if (event.phase === "denoising") steps.push([event.step, event.steps]);
      if (event.phase === "decoding") passes.push([event.pass, event.passes]);
    };
    const { layers, warnings } = await engine.generate({ ...options, hires: { scale: 2 }, onProgress });
    const same = await engine.generate({ ...options, variation: { seed: 8, amount: 0 } });
    const other = await engine.generate({ ...options, seed: 8 });
    const whole = await engine.generate({ ...options, variation: { seed: 8, amount: 1 } });
    const first = await engine.generate(options);
    const text = ({ layers: [layer] }) => layer.imageData.data.join();
    const refused = await engine.generate({ ...options, hires: { scale: 2, by: 3 } }).catch((error) => `${error.code}: ${error.message}`);
    return {
      size: [layers[0].width, layers[0].height],
      warnings,
      steps,
      passes,
      same: text(same) === text(first),
      whole: text(whole) === text(other),
      refused,
    };
  });
  assert.deepEqual(result.size, [128, 128]);
  assert.deepEqual(result.warnings, []);
  assert.deepEqual(result.steps.at(-1), [6, 6], "four steps and half of four");
  assert.deepEqual(result.passes.at(-1), [2, 2]);
  assert.ok(result.same && result.whole);
  assert.match(result.refused, /^bad_option: .*by/);
});

test("a layer is enlarged and extended, and several pictures come of one request", async (t) => {
  const page = await open(t);
  const result = await page.evaluate(async () => {
    const engine = await glassine.createEngine({ model: "mini", device: "cpu" });
    const options = { prompt: "a red apple", width: 64, height: 64, seed: 7, steps: 2, decodePasses: 1 };
    const steps = [];
    const onProgress = (event) => event.phase === "denoising" && steps.push([event.step, event.steps]);
    const several = await engine.generate({ ...options, count: 2, onProgress });
    const second = await engine.generate({ ...options, seed: 8 });
    const text = (layer) => layer.imageData.data.join();
    const [layer] = several.layers;
    const larger = await engine.enlarge(layer, { steps: 2, decodePasses: 1 });
    const wider = await engine.extend(layer, { left: 3, right: 20, steps: 2, decodePasses: 1 });
    const part = Array.from({ length: 64 }, (_, y) => wider.imageData.data.slice(4 * (y * 87 + 3), 4 * (y * 87 + 67)).join());
    const says = (promise) => promise.then(() => "nothing", (error) => `${error.code}: ${error.message}`);
    return {
      seeds: several.layers.map(({ seed }) => seed),
      latents: several.latents.map(({ seed }) => seed),
      recipes: several.layers.map(({ recipe }) => [recipe.seed, "count" in recipe]),
      same: text(several.layers[1]) === text(second.layers[0]),
      steps,
      larger: [larger.width, larger.height, larger.recipe.prompt, larger.recipe.enlarge],
      wider: [wider.width, wider.height, wider.recipe.extend],
      kept: part.join() === text(layer),
      said: [
        await says(engine.generate({ ...options, count: 0 })),
        await says(engine.enlarge(layer, { width: 64 })),
        await says(engine.enlarge(layer, { init: layer })),
        await says(engine.extend(layer, { rigth: 20 })),
        await says(engine.extend(layer, {})),
      ],
    };
  });
  assert.deepEqual(result.seeds, [7, 8]);
  assert.deepEqual(result.latents, [7, 8]);
  assert.deepEqual(result.recipes, [[7, false], [8, false]]);
  assert.ok(result.same, "the second picture is that of its seed");
  assert.deepEqual(result.steps.at(-1), [4, 4]);
  assert.deepEqual(result.larger, [128, 128, "a red apple", 2]);
  assert.deepEqual(result.wider, [87, 64, { left: 3, right: 20 }]);
  assert.ok(result.kept, "what there was stays as it was");
  assert.match(result.said[0], /^bad_option: count/);
  assert.match(result.said[1], /^bad_option: a size/);
  assert.match(result.said[2], /^bad_option: .*"init" for enlarge/);
  assert.match(result.said[3], /^bad_option: .*"rigth" for extend/);
  assert.match(result.said[4], /^bad_option: extending by/);
});
