// Pictures that steer, in the studio: layers, files and drawings, and the ControlNets that see them.

import assert from "node:assert/strict";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { findings } from "../lib/axe.js";
import { openDemo, seldom, textIs } from "../lib/demo.js";
import { controlNet, packTinyModel, packWithoutControlNet } from "../lib/golden.js";
import { scratch } from "../lib/native.js";
import { slopes, writePng } from "../lib/pictures.js";
import { readSafetensors, writeSafetensors } from "../lib/safetensors.js";
import {
  addFiles,
  choose,
  downloadsTo,
  dragInScene,
  dropOn,
  holding,
  makeLayer,
  openSettings,
  setPrompt,
} from "../lib/studio.js";
import { pngWithTexts } from "../lib/texts.js";

const file = join(controlNet, "diffusion_pytorch_model.safetensors");

/** A yellow square on nothing. */
const square = (x, y) => [255, 230, 60, Math.max(Math.abs(x - 32), Math.abs(y - 32)) < 18 ? 255 : 0];

/** Opens the studio with a pack of the tiny model and its settings, and a layer that is called square. */
async function openTiny(t, pack, folder) {
  const page = await openDemo(t, "?model=/pack/&device=cpu&steps=2&prompt=a red apple&seed=3", pack);
  // However long a picture takes: the test's own time ends it.
  page.setDefaultTimeout(0);
  await openSettings(page);
  await choose(page, "mode", "opaque");
  await addFiles(page, [writePng(folder, "square.png", 64, 64, square)]);
  await page.waitForSelector("#layers li");
  return page;
}

/** Opens it without a ControlNet, and drops one on it that is called so. */
async function openWithDropped(t, name) {
  const folder = scratch(t);
  const path = join(folder, `${name}.safetensors`);
  cpSync(file, path);
  const page = await openTiny(t, packWithoutControlNet(folder), folder);
  const plain = await makeLayer(page);
  await textIs(page, "#no-control", "drop a ControlNet's file here");
  await dropOn(page, ".bar-prompt", path);
  await textIs(page, ".notices", `The ControlNet ${name} is on the shelf`);
  await page.click(".notice.offer button:not(.ghost)");
  await page.waitForFunction(() => document.activeElement.id === "control");
  return { page, plain, folder };
}

/** Has a layer steer. */
async function steerBy(page, layer) {
  const layers = await page.$$eval("#control option", (all) => all.map(({ value, textContent }) => [textContent, value]));
  await page.select("#control", new Map(layers).get(`Layer ${layer}`));
}

/** Moves a slider, or types a number. */
const set = (page, label, value) =>
  page.$eval(
    `[aria-label='${label}']`,
    (field, value) => {
      field.value = value;
      for (const type of ["input", "change"]) field.dispatchEvent(new Event(type, { bubbles: true }));
    },
    value,
  );

const valueOf = (page, label) => page.$eval(`[aria-label='${label}']`, ({ value }) => value);

/** How many pixels of what a ControlNet sees are white, once it is seen as that; none is of a colour. */
async function lines(page, name, look) {
  const selector = `[aria-label='What the ControlNet sees of ${name}']`;
  await page.waitForSelector(`${selector}[data-drawn=${look}]`);
  return page.$eval(selector, (canvas) => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    let white = 0;
    for (let index = 0; index < data.length; index += 4) {
      if (data[index] !== data[index + 1] || data[index] !== data[index + 2]) throw new Error("there is a colour");
      white += data[index] > 200;
    }
    return white;
  });
}

const chips = (page) => page.$$eval(".steering .chip > span", (names) => names.map(({ textContent }) => textContent));

test("a ControlNet that is dropped is there for layers: their edges steer, by strength and in their steps", async (t) => {
  const { page, plain } = await openWithDropped(t, "canny");
  await steerBy(page, "square");
  assert.deepEqual(await chips(page), ["square"]);
  assert.ok(await page.$("[type=radio][value=edges]:checked"), "it is one for edges");
  assert.equal(await page.$eval("[aria-label='ControlNet for square']", ({ selectedOptions: [option] }) => option.text), "canny");
  assert.ok((await lines(page, "square", "edges")) > 50);
  const byEdges = await makeLayer(page);
  assert.notDeepEqual(byEdges, plain);

  await set(page, "Strength of square", "1.5");
  assert.equal(await valueOf(page, "Strength of Picture square"), "1.5", "the chip says the same");
  const stronger = await makeLayer(page);
  assert.notDeepEqual(stronger, byEdges);
  await set(page, "Last step of square, in percent", "50");
  const inHalf = await makeLayer(page);
  assert.notDeepEqual(inHalf, stronger);
  assert.notDeepEqual(inHalf, plain);
  await set(page, "First step of square, in percent", "60");
  assert.equal(await valueOf(page, "Last step of square, in percent"), "61", "it ends after it begins");
  assert.deepEqual(await makeLayer(page), plain, "no step lies in that part");

  await set(page, "First step of square, in percent", "0");
  await set(page, "Last step of square, in percent", "100");
  await page.click("[type=radio][value=outline]");
  assert.ok((await lines(page, "square", "outline")) > 50);
  await page.click("[aria-label='Remove square from what steers']");
  await page.waitForFunction(() => document.activeElement.id === "control");
  assert.equal(await page.$(".steering"), null);
  assert.deepEqual(await makeLayer(page), plain);
});

test("what is seen of a layer follows it, and what steers is the layer as it is then", async (t) => {
  const { page } = await openWithDropped(t, "canny");
  const apple = await page.$eval("#layers .name strong", ({ textContent }) => textContent);
  await steerBy(page, apple);
  assert.ok((await lines(page, apple, "edges")) > 0);
  const label = `[aria-label='What the ControlNet sees of ${apple}']`;
  /** What is seen once it is not `before` any more. */
  const seenAfter = async (before) => {
    await page.waitForFunction((label, before) => document.querySelector(label).toDataURL() !== before, {}, label, before);
    return page.$eval(label, (canvas) => canvas.toDataURL());
  };
  const first = await seenAfter("");
  await page.click("#again");
  await page.waitForFunction(() => document.querySelectorAll("#variants input").length === 2);
  const second = await seenAfter(first);
  await page.$$eval("#variants input", (all) => all.find(({ checked }) => !checked).click());
  assert.equal(await seenAfter(second), first);

  // The first one takes a while; the second finds no layer to be steered by.
  await choose(page, "count", "4");
  await page.click("#generate");
  await page.click("#generate");
  await page.focus("#stage");
  await page.keyboard.press("Delete");
  assert.equal(await page.$(".steering"), null);
  await textIs(page, "#error:not([hidden])", "a layer that was to steer is not there any more.*Choose another");
});

test("a drawing steers beside a layer, each by a ControlNet, and can be changed", async (t) => {
  const { page } = await openWithDropped(t, "scribble");
  await steerBy(page, "square");
  const byLayer = await makeLayer(page);

  await page.click("#control-draw");
  await page.waitForSelector("#drawing-bar");
  assert.equal(await page.$eval("#settings", ({ hidden }) => hidden), true, "the canvas is free");
  assert.equal(await page.evaluate(() => document.activeElement.id), "stage");
  assert.deepEqual(await chips(page), ["square"], "nothing is drawn yet");
  await textIs(page, "#drawing-share", "128 × 128");
  assert.deepEqual(await findings(page), [], "nothing serious while one draws");
  await dragInScene(page, [10, 20], [54, 20]);
  await textIs(page, "#drawing-share", "^\\d+ % of 128 × 128 is drawn");
  await dragInScene(page, [10, 50], [54, 50]);
  const share = () => page.$eval("#drawing-share", ({ textContent }) => parseInt(textContent, 10));
  const two = await share();
  await holding(page, "Control", () => page.keyboard.press("z"));
  assert.ok((await share()) < two);
  await holding(page, "Control", () => page.keyboard.press("y"));
  assert.equal(await share(), two);
  // The keys are those of the mask's brush.
  await page.keyboard.press("]");
  assert.equal(await page.$eval("[name=brushSize]", ({ value }) => value), "7");
  await page.keyboard.press("e");
  await dragInScene(page, [10, 50], [54, 50]);
  assert.ok((await share()) < two);
  await page.keyboard.press("e");
  await page.keyboard.press("Escape");
  assert.equal(await page.$("#drawing-bar"), null);
  assert.equal(await page.$eval("#settings", ({ hidden }) => hidden), false, "where drawing began");
  assert.ok((await lines(page, "Drawing", "picture")) > 50);
  assert.deepEqual(await chips(page), ["square", "Drawing"]);
  assert.deepEqual(await findings(page), [], "nothing serious in the settings");
  await set(page, "Strength of Drawing", "0.6");

  const byBoth = await makeLayer(page);
  assert.notDeepEqual(byBoth, byLayer);
  const download = await downloadsTo(page, scratch(t));
  await page.click("#export summary");
  const scene = JSON.parse(readFileSync(await download("#scene-json", "untitled.json"), "utf8"));
  await page.click("#export summary");
  assert.deepEqual(scene.layers.at(-1).recipe.controls, [
    { controlnet: "scribble", scale: 1, start: 0, end: 1 },
    { controlnet: "scribble", scale: 0.6, start: 0, end: 1 },
  ]);

  await page.click("[aria-label='Without Picture Drawing']");
  assert.deepEqual(await makeLayer(page), byLayer);
  await page.click("#control-draw");
  await dragInScene(page, [32, 10], [32, 54]);
  await page.keyboard.press("Escape");
  await page.$$eval(".control .quiet-button", ([button]) => button.click());
  await page.waitForSelector("#drawing-bar");
  await page.click("#drawing-clear");
  await page.click("#drawing-bar [aria-label='Select and move']");
  await textIs(page, ".controls", "Nothing is drawn yet");
  assert.deepEqual(await chips(page), ["square"]);
  assert.deepEqual(await makeLayer(page), byLayer);
});

test("with a model's own ControlNet, a file steers as the layer of it does, and one of another model does not", async (t) => {
  const folder = scratch(t);
  const page = await openTiny(t, packTinyModel(folder), folder);
  const slope = writePng(folder, "slope.png", 64, 64, slopes(64, 64));
  await addFiles(page, [slope]);
  await page.waitForSelector("#control");
  const plain = await makeLayer(page);
  await steerBy(page, "slope");
  assert.ok(await page.$("[type=radio][value=picture]:checked"));
  const byLayer = await makeLayer(page);
  assert.notDeepEqual(byLayer, plain);
  await page.click("[aria-label='Without Picture slope']");
  await (await page.$("#control-file")).uploadFile(slope);
  await textIs(page, ".steering", "slope\\.png");
  assert.deepEqual(await makeLayer(page), byLayer);

  // One for prompts that are wider.
  const tensors = readSafetensors(file);
  for (const [name, { dtype, shape }] of tensors) {
    if (!/attn2\.to_[kv]\.weight$/.test(name)) continue;
    const bytes = Buffer.alloc(shape[0] * 48 * (dtype === "F16" ? 2 : 4));
    tensors.set(name, { dtype, shape: [shape[0], 48], bytes });
  }
  writeFileSync(join(folder, "other.safetensors"), writeSafetensors(tensors));
  await dropOn(page, ".bar-prompt", join(folder, "other.safetensors"));
  await textIs(page, "#settings .misfit", "The ControlNet other does not fit this model: .*\\w");
  const nets = await page.$$eval("[aria-label='ControlNet for slope.png'] option", (all) => all.map(({ text, disabled }) => [text, disabled]));
  assert.deepEqual(nets, [
    ["The model's own", false],
    ["other, does not fit", true],
  ]);
  writeFileSync(join(folder, "note.png"), "no picture");
  await (await page.$("#control-file")).uploadFile(join(folder, "note.png"));
  await textIs(page, "#error:not([hidden])", "note\\.png could not be read");
  assert.deepEqual(await chips(page), ["slope.png"]);
  // A file that is another one by then.
  writeFileSync(slope, "no picture");
  await page.click("#generate");
  await textIs(page, "#error:not([hidden])", "picture slope\\.png that was to steer could not be read.*Choose another");
});

test("where no ControlNet fits, that is said, and how to get one", async (t) => {
  const page = await openDemo(t, "?device=cpu&steps=1");
  await openSettings(page);
  await (await page.$("#controlnets")).uploadFile(file);
  await textIs(page, "#settings .misfit", "The ControlNet diffusion_pytorch_model does not fit this model: ");
  await textIs(page, "#no-control", "drop a ControlNet's file here");
  assert.equal(await page.$("#control"), null);
});

test("a layer that is repainted or extended is steered by pictures of any size", async (t) => {
  const { page, folder } = await openWithDropped(t, "canny");
  await (await page.$("#control-file")).uploadFile(writePng(folder, "wide.png", 100, 40, slopes(100, 40)));
  await textIs(page, ".steering", "wide\\.png");
  await page.click("#more");
  const changed = async (act) => {
    const before = await page.$eval("#download", ({ href }) => href);
    await act();
    await page.waitForFunction((before) => document.querySelector("#download").href !== before, seldom, before);
  };
  await page.focus("#stage");
  await page.keyboard.press("m");
  await dragInScene(page, [20, 30], [40, 30]);
  await changed(() => page.click("#generate"));
  await page.focus("#stage");
  await page.keyboard.press("x");
  await choose(page, "extend-right", "5");
  await changed(() => page.click("#generate"));
  await textIs(page, "#pixels", "^133 × 128");
});

test("what steered is said by links and recipes, and what of it is not here", async (t) => {
  const { page, folder } = await openWithDropped(t, "canny");
  await steerBy(page, "square");
  await set(page, "Strength of square", "0.8");
  const { origin } = new URL(page.url());
  await page.browserContext().overridePermissions(origin, ["clipboard-read", "clipboard-write", "clipboard-sanitized-write"]);
  await page.bringToFront();
  await page.click("#copy-link");
  await textIs(page, ".notices", "The link is on the clipboard.*pictures that steer are files of yours");
  const { hash } = new URL(await page.evaluate(() => navigator.clipboard.readText()));
  assert.equal(new URLSearchParams(hash.slice(1)).get("steeredBy"), "canny:0.8:0:1");
  await page.evaluate((hash) => (location.hash = hash), hash);
  await textIs(page, "#link", "[Ss]teered by.*canny at 0\\.8");
  await page.click("#link-agree");
  await textIs(page, ".notices", "steered by a picture, which is not in it \\(canny at 0\\.8\\)");

  const controls = [
    { controlnet: "canny", scale: 1, start: 0, end: 0.5 },
    { controlnet: "pose", scale: 1, start: 0, end: 1 },
  ];
  const recipe = JSON.stringify({ prompt: "a fox", seed: 4, controls });
  writeFileSync(join(folder, "fox.png"), pngWithTexts({ glassine: recipe }));
  await addFiles(page, [join(folder, "fox.png")]);
  await textIs(page, ".notices", "fox.png says how it was made");
  const notice = await page.$$eval(".notice.offer", (all) => all.at(-1).textContent);
  assert.match(notice, /The ControlNet pose is not on the shelf\..*steered by 2 pictures.*canny at 1 from 0 to 50 % of the steps; pose at 1/);
  assert.doesNotMatch(notice, /ControlNet canny is not/);
  await setPrompt(page, "a red apple");
});
