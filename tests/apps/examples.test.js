// The recipes of the cookbook, each run as it stands: what the guide shows is what is tested here.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { copyExamples } from "./lib/app.js";
import { runExample, shownPictures } from "../browser/lib/examples.js";
import { checkpoint, companion, packTinyModel, packWithoutLayers, singleFile } from "../browser/lib/golden.js";
import { scratch } from "../browser/lib/native.js";
import { readSafetensors, writeSafetensors } from "../browser/lib/safetensors.js";
import { sharedBrowser } from "../browser/lib/shared-browser.js";
import { packageFolder, serveFolder, serveFolders } from "../browser/lib/site.js";

const dist = fileURLToPath(new URL("../../www/dist/", import.meta.url));
const tool = (path) => fileURLToPath(new URL(`./node_modules/${path}`, import.meta.url));

async function newPage(t) {
  const page = await (await sharedBrowser("none")).newPage();
  t.after(() => page.close());
  page.setDefaultTimeout(0);
  page.on("pageerror", (error) => t.diagnostic(error.message));
  return page;
}

/** Runs an example of the built pages, where a policy forbids all that is not there. */
async function run(t, name, { pack, ...input } = {}) {
  const site = await serveFolder(dist, pack);
  t.after(() => site.close());
  return runExample(await newPage(t), `${site.url}examples/${name}/index.html`, input);
}

/** Some of the picture is to be seen, and some of it is seen through. */
function assertTransparent({ alt, alphas, png }) {
  assert.equal(png.toString("latin1", 1, 4), "PNG");
  assert.equal(alphas[0], 0, `${alt}: it has no place without anything`);
  assert.ok(alphas.at(-1) > 200, `${alt}: there is nothing to be seen`);
}

test("every example of the built pages is run here", () => {
  const tested = ["first-picture", "guide", "hires", "lcm", "own-model", "product-shot", "repaint", "sprites", "sticker", "three-layers"];
  assert.deepEqual(readdirSync(join(dist, "examples")).sort(), tested);
});

test("first-picture", async (t) => {
  const pictures = await run(t, "first-picture");
  assert.equal(pictures.length, 1);
  assertTransparent(pictures[0]);
});

test("sprites: a sheet, and a level drawn from it", async (t) => {
  const [level, sheet] = await run(t, "sprites", { values: { prompts: "a gem\na key" } });
  assert.deepEqual([sheet.width, sheet.height], [256, 128]);
  for (const picture of [level, sheet]) assertTransparent(picture);
});

test("sticker", async (t) => {
  const [sticker] = await run(t, "sticker");
  assert.deepEqual([sticker.width, sticker.height], [134, 134]);
  assertTransparent(sticker);
});

test("product-shot: with the ground and without", async (t) => {
  const [shot, cutOut] = await run(t, "product-shot");
  assert.deepEqual(shot.alphas, [255]);
  assertTransparent(cutOut);
});

test("repaint", async (t) => {
  const [before, after] = await run(t, "repaint");
  for (const picture of [before, after]) assertTransparent(picture);
  assert.notDeepEqual(before.png, after.png);
});

test("hires", async (t) => {
  const [picture] = await run(t, "hires");
  assert.deepEqual([picture.width, picture.height], [256, 256]);
  assertTransparent(picture);
});

test("guide: every piece of code that the guide shows", async (t) => {
  const pictures = await run(t, "guide", { pack: join(packageFolder, "models/mini"), values: { pack: "/pack/" } });
  assert.equal(pictures.length, 13);
  for (const picture of pictures.slice(0, 8)) assertTransparent(picture);
  assert.deepEqual(pictures.slice(9).map(({ width, height }) => [width, height]), [[128, 128], [152, 128], [304, 256], [128, 128]]);
});

// The pictures of the tiny model mean nothing, since its weights are random. They are small and of few steps here.
for (const [way, names] of Object.entries({
  oneByOne: ["a meadow", "a house", "a small red car"],
  together: ["background", "foreground"],
  behind: ["a meadow", "a house"],
})) {
  test(`three-layers: ${way}`, async (t) => {
    const [scene, ...layers] = await run(t, "three-layers", { pack: packTinyModel(scratch(t), "--default-steps", "1"), values: { model: "/pack/", way, size: "64" } });
    assert.deepEqual([scene.width, scene.height], [64, 64]);
    assert.deepEqual(layers.map(({ alt }) => alt), names.map((name) => `${name.replaceAll(" ", "-")}.png`));
    assert.deepEqual(layers[0].alphas, [255]);
    for (const { alphas } of layers.slice(1)) assert.ok(alphas.length > 1, "a foreground has alpha");
  });
}

test("three-layers: by the built-in model, as the page stands", async (t) => {
  const [scene, background, ...layers] = await run(t, "three-layers");
  assert.deepEqual([scene.width, scene.height], [128, 128]);
  assert.deepEqual(background.alphas, [255]);
  assert.equal(layers.length, 2);
  for (const layer of layers) assertTransparent(layer);
});

test("three-layers: a model that cannot do it is told apart, with what it lacks", async (t) => {
  const running = run(t, "three-layers", { pack: packWithoutLayers(scratch(t)), values: { model: "/pack/" } });
  await assert.rejects(running, /has no mode "bg2fg".*layer_sd15_bg2fg/);
});

const companions = { transparencyDecoder: companion("vae_transparent_decoder"), attn: companion("transparent_attn") };

test("own-model: a checkpoint is packed in the page and used", async (t) => {
  const [picture] = await run(t, "own-model", { values: { size: "64" }, files: { checkpoint: singleFile(scratch(t)), ...companions } });
  assert.ok(picture.alphas.length > 1);
});

test("lcm: four steps by what the model was packed with", async (t) => {
  const folder = scratch(t);
  const lcm = join(folder, "lcm.safetensors");
  writeFileSync(lcm, loraFile(checkpoint(folder)));
  const [picture] = await run(t, "lcm", { values: { size: "64" }, files: { checkpoint: singleFile(folder), lcm, ...companions } });
  assert.match(picture.alt, /in 4 steps/);
  assert.ok(picture.alphas.length > 1);
});

/** A LoRA of rank 1 for one layer of a model in diffusers' layout. */
function loraFile(model) {
  const layer = "mid_block.attentions.0.transformer_blocks.0.attn2.to_k";
  const [rows, columns] = readSafetensors(join(model, "unet/diffusion_pytorch_model.safetensors")).get(`${layer}.weight`).shape;
  const name = `lora_unet_${layer.replaceAll(".", "_")}`;
  const small = (shape) => ({ dtype: "F32", shape, bytes: Buffer.from(new Float32Array(Math.max(...shape)).fill(0.1).buffer) });
  return writeSafetensors(new Map(Object.entries({ [`${name}.lora_down.weight`]: small([1, columns]), [`${name}.lora_up.weight`]: small([rows, 1]) })));
}

let app;
before(() => (app = copyExamples("page.ts", "style.css", "offline", "react", "next", "no-bundler")));
after(() => app.remove());

test("offline: the second visit needs no server", async (t) => {
  const project = { cwd: join(app.folder, "offline"), stdio: "inherit" };
  execFileSync(process.execPath, [tool("vite/bin/vite.js"), "build", "--base", "./", "--logLevel", "error"], project);
  const site = await serveFolder(join(project.cwd, "dist"));
  t.after(() => site.close());
  const page = await newPage(t);
  const [first] = await runExample(page, site.url);
  await site.close();
  const [second] = await runExample(page, site.url);
  for (const picture of [first, second]) assertTransparent(picture);
});

test("no-bundler", async (t) => {
  const site = await serveFolders({ "/node_modules/": join(app.folder, "node_modules"), "/": join(app.folder, "no-bundler") });
  t.after(() => site.close());
  const page = await newPage(t);
  await page.goto(`${site.url}index.html`);
  const [picture] = await shownPictures(page);
  assertTransparent(picture);
});

test("react, with its types checked", async (t) => {
  const project = { cwd: join(app.folder, "react"), stdio: "inherit" };
  execFileSync(process.execPath, [tool("typescript/bin/tsc")], project);
  execFileSync(process.execPath, [tool("vite/bin/vite.js"), "build", "--logLevel", "error"], project);
  const site = await serveFolder(join(project.cwd, "dist"));
  t.after(() => site.close());
  const page = await newPage(t);
  await page.goto(site.url);
  await page.waitForSelector("button:not(:disabled)");
  await page.click("button");
  const [picture] = await shownPictures(page);
  assertTransparent(picture);
});

test("next", async (t) => {
  const project = { cwd: join(app.folder, "next"), stdio: "pipe", env: { ...process.env, NEXT_TELEMETRY_DISABLED: "1" } };
  execFileSync(process.execPath, [tool("next/dist/bin/next"), "build"], project);
  const site = await serveFolder(join(project.cwd, "out"));
  t.after(() => site.close());
  const page = await newPage(t);
  await page.goto(site.url);
  const [picture] = await shownPictures(page);
  assertTransparent(picture);
});
