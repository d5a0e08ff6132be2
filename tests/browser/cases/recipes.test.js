// How pictures were made, as their files say it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { open } from "../lib/open.js";
import { pngWithTexts } from "../lib/texts.js";

const text = [
  'a castle\nat "dusk": wide <lora:ink:0.8>',
  "Negative prompt: blurry",
  'Steps: 12, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 6.5, Seed: 99, Size: 64x64, Model: v1-5, Clip skip: 2, Lora hashes: "ink: 0a1b2c3d4e5f", Version: v1.9.4',
].join("\n");

test("a layer's files give its recipe back, and other programs' pictures theirs", async (t) => {
  const page = await open(t);
  const { own, foreign, none, opened, refused } = await page.evaluate(async (bytes, plain) => {
    const engine = await glassine.createEngine({ model: "mini", device: "cpu" });
    const prompt = "a red apple,\nNegative prompt: Steps: 3";
    const { layers } = await engine.generate({ prompt, seed: 7, steps: 1, guidance: 2, decodePasses: 1 });
    await engine.dispose();
    const files = [await layers[0].toBlob(), await layers[0].toWebp()];
    const own = await Promise.all(files.map((file) => glassine.readRecipe(file)));
    const png = new Uint8Array(bytes);
    const url = URL.createObjectURL(new Blob([png]));
    const foreign = [await glassine.readRecipe(png), await glassine.readRecipe(url)];
    const none = await glassine.readRecipe(new Uint8Array(plain));
    const scene = await glassine.Scene.open(png, { name: "castle.png" });
    const opened = scene.layers[0].recipe;
    scene.dispose();
    const refused = await failureOf(glassine.readRecipe(new Blob(["a letter"])));
    return { own: own.map(({ recipe, ...rest }) => ({ same: JSON.stringify(recipe) === JSON.stringify(sorted(layers[0].recipe)), ...rest })), foreign, none, opened, refused };

    function sorted(recipe) {
      return Object.fromEntries(Object.entries(recipe).sort(([one], [other]) => (one < other ? -1 : 1)));
    }
  }, Array.from(pngWithTexts({ parameters: text })), Array.from(pngWithTexts({ Comment: "Created with GIMP" })));
  for (const read of own) assert.deepEqual(read, { same: true, others: {}, warnings: [] });
  const recipe = {
    prompt: 'a castle\nat "dusk": wide <lora:ink:0.8>',
    negativePrompt: "blurry",
    steps: 12,
    sampler: "dpmpp-2m-karras",
    guidance: 6.5,
    seed: 99,
    width: 64,
    height: 64,
    clipSkip: 2,
    loras: [{ name: "ink", strength: 0.8, hash: "0a1b2c3d4e5f" }],
  };
  for (const read of foreign) {
    assert.deepEqual(read, { recipe, others: { Model: "v1-5", Version: "v1.9.4" }, warnings: [] });
  }
  assert.equal(none ?? undefined, undefined);
  assert.deepEqual(opened, recipe);
  assert.equal(refused.code, "bad_image");
});
