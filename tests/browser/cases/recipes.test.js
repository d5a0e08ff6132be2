// How pictures were made, as their files say it.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { openDemo, textIs } from "../lib/demo.js";
import { scratch } from "../lib/native.js";
import { open } from "../lib/open.js";
import { addFiles, drawn } from "../lib/studio.js";
import { pngWithTexts } from "../lib/texts.js";

const text = [
  'a castle\nat "dusk": wide <lora:ink:0.8>',
  "Negative prompt: blurry",
  'Steps: 12, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 6.5, Seed: 99, Size: 64x64, Model: v1-5, Clip skip: 2, Lora hashes: "ink: 0a1b2c3d4e5f", Version: v1.9.4',
].join("\n");

test("a layer's files give its recipe back, and other programs' pictures theirs", async (t) => {
  const folder = scratch(t);
  writeFileSync(join(folder, "castle.png"), pngWithTexts({ parameters: text }));
  const page = await open(t, { pack: folder });
  const { own, made, foreign, none, opened, refused } = await page.evaluate(async (bytes, plain) => {
    const engine = await glassine.createEngine({ model: "mini", device: "cpu" });
    const prompt = "a red apple,\nNegative prompt: Steps: 3";
    const { layers } = await engine.generate({ prompt, seed: 7, steps: 1, guidance: 2, decodePasses: 1 });
    await engine.dispose();
    const files = [await layers[0].toBlob(), await layers[0].toWebp()];
    const own = await Promise.all(files.map((file) => glassine.readRecipe(file)));
    const png = new Uint8Array(bytes);
    const foreign = [await glassine.readRecipe(png), await glassine.readRecipe("/pack/castle.png")];
    const none = await glassine.readRecipe(new Uint8Array(plain));
    const scene = await glassine.Scene.open(png, { name: "castle.png" });
    const opened = scene.layers[0].recipe;
    scene.dispose();
    const refused = await failureOf(glassine.readRecipe(new Blob(["a letter"])));
    return { own, made: layers[0].recipe, foreign, none, opened, refused };
  }, Array.from(pngWithTexts({ parameters: text })), Array.from(pngWithTexts({ Comment: "Created with GIMP" })));
  for (const read of own) assert.deepEqual(read, { recipe: made, others: {}, warnings: [] });
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

test("a picture that says how it was made offers to fill the form, and another says nothing", async (t) => {
  const page = await openDemo(t, "?device=cpu&prompt=a red apple&seed=3");
  await page.waitForSelector("#generate:not(:disabled)");
  const folder = scratch(t);
  const write = (name, texts) => {
    writeFileSync(join(folder, name), pngWithTexts(texts));
    return join(folder, name);
  };
  const fields = () =>
    page.evaluate(() => Object.fromEntries(new FormData(document.querySelector("#form"))));
  const before = await fields();
  await addFiles(page, [write("plain.png", {})]);
  await drawn(page, 1);
  assert.equal(await page.$$eval(".notice", ({ length }) => length), 0);

  await addFiles(page, [write("castle.png", { parameters: text })]);
  await drawn(page, 2);
  await textIs(page, ".notices", "castle.png says how it was made");
  const notice = await page.$eval(".notice", ({ textContent }) => textContent);
  assert.match(notice, /The LoRA ink \(0a1b2c3d4e5f\) is not on the shelf\./);
  assert.match(notice, /It was made with the model v1-5\./);
  assert.deepEqual(await fields(), before, "nothing is filled in without being asked");
  const fill = await page.waitForFunction(() =>
    [...document.querySelectorAll(".notice button")].find(({ textContent }) => textContent.includes("Fill the form")),
  );
  await fill.click();
  await page.waitForFunction(() => document.querySelector("[name=seed]").value === "99");
  const { prompt, negativePrompt, steps, guidance, size } = await fields();
  assert.deepEqual(
    [prompt.replaceAll("\r", ""), negativePrompt, steps, guidance, size],
    ['a castle\nat "dusk": wide <lora:ink:0.8>', "blurry", "12", "6.5", "64x64"],
  );
  assert.equal(await page.$$eval(".notice", ({ length }) => length), 0);
  // What is written in a way that nobody knows is said, and fills nothing.
  const graph = { 1: { class_type: "Fancy", inputs: {} } };
  await addFiles(page, [write("graph.png", { prompt: JSON.stringify(graph) })]);
  await textIs(page, ".notices", "graph.png.*not understood.*no sampler");
  assert.equal(await page.$(".notice button:not(.ghost)"), null);
});
