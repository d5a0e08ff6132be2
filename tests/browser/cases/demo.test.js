// The demo page, used as a visitor would: what it makes, and what it says.

import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { openDemo, textIs } from "../lib/demo.js";
import { packTinyModel, packWithoutLayers } from "../lib/golden.js";
import { scratch } from "../lib/native.js";
import { addFiles, choose, layerNames, setPrompt } from "../lib/studio.js";

const statusIs = (page, pattern) => textIs(page, "#status", pattern);
const ready = (page) => page.waitForSelector("#generate:not(:disabled)");

test("a prompt in the address makes a picture that can be saved and looked at", async (t) => {
  const page = await openDemo(t, "?prompt=a+red+apple&seed=7&steps=2&auto=1&device=cpu");
  const result = await page.evaluate(() => glassineResult);
  assert.equal(result.device, "cpu");
  assert.deepEqual([...Buffer.from(result.png, "base64").subarray(1, 4)], [...Buffer.from("PNG")]);

  assert.equal(await page.$eval("#download", (link) => link.download), "a-red-apple-7.png");
  const saved = await page.$eval("#download", async (link) => (await (await fetch(link.href)).blob()).size);
  assert.equal(saved, Buffer.from(result.png, "base64").length);

  /** What values a channel has in the picture of the scene, which shows some of the channels. */
  const values = async (shown, channel) => {
    await page.$eval(`input[value=${shown}]`, (input) => input.click());
    await page.waitForSelector(`#picture[data-drawn=${shown}]`);
    return page.$eval(
      "#picture",
      (canvas, channel) => {
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        return [...new Set(data.filter((_, i) => i % 4 === channel))];
      },
      channel,
    );
  };
  assert.deepEqual(await values("rgb", 3), [255]);
  assert.deepEqual(await values("alpha", 3), [255]);
  assert.ok((await values("alpha", 0)).length > 1);
});

test("Cancel stops a request, and Generate makes another", async (t) => {
  const page = await openDemo(t, "?steps=50&device=cpu");
  await ready(page);
  await page.click("#generate");
  await statusIs(page, "Step [1-9]");
  await page.click("#cancel");
  await statusIs(page, "Cancelled");
  assert.equal(await page.evaluate(() => document.activeElement.id), "generate", "the focus stays where it helps");
  await choose(page, "steps", "1");
  await page.click("#generate");
  await statusIs(page, "Done");
});

test("several wishes wait in a queue, and each can be taken back", async (t) => {
  const page = await openDemo(t, "?steps=50&device=cpu");
  await ready(page);
  for (const prompt of ["a red apple", "a blue cup", "a green leaf"]) {
    await setPrompt(page, prompt);
    await page.keyboard.press("Enter");
  }
  const waiting = () => page.$$eval("#queue b", (prompts) => prompts.map(({ textContent }) => textContent));
  assert.deepEqual(await waiting(), ["a red apple", "a blue cup", "a green leaf"]);
  await page.click("#queue li:nth-child(2) button");
  assert.deepEqual(await waiting(), ["a red apple", "a green leaf"]);
  // What is being made is seen on the canvas, too.
  await page.waitForSelector(".stage .preview canvas");
  await page.click("#queue li:nth-child(1) button");
  await page.waitForFunction(() => document.querySelectorAll("#queue li").length === 1);
  await page.click("#queue button");
  await page.waitForFunction(() => !document.querySelector("#queue"));
  assert.deepEqual(await layerNames(page), []);
});

test("the modes of the model are offered, and what the others need is said where it is missed", async (t) => {
  const page = await openDemo(t, "?model=/pack/&device=cpu", packWithoutLayers(scratch(t)));
  await ready(page);
  const modes = (selector) => page.$$eval(selector, (options) => options.map(({ value }) => value).sort());
  assert.deepEqual(await modes("[name=mode] > option"), ["opaque", "single"]);
  assert.deepEqual(await modes("[name=mode] optgroup option"), ["bg2fg", "fg2bg", "joint"]);
  for (const mode of ["joint", "fg2bg", "bg2fg"]) {
    await choose(page, "mode", mode);
    await textIs(page, "#lacking", `layer_sd15_${mode}\\.safetensors`);
    assert.ok(await page.$("#generate:disabled"));
  }
  await page.click("#lacking button");
  assert.ok(await page.$("#models[open]"));
  await choose(page, "mode", "single");
  await ready(page);
  assert.equal(await page.$("#lacking"), null);
});

test("what a picture will take is said before it is made", async (t) => {
  const page = await openDemo(t, "?steps=1&device=cpu");
  await ready(page);
  await textIs(page, "#foretold", "^\\d+ × \\d+, up to \\d+ MB of memory$");
  await page.click("#generate");
  await statusIs(page, "Done");
  await textIs(page, "#foretold", "^\\d+ × \\d+, (about \\d+ s|less than a second), up to \\d+ MB of memory$");
});

test("a picture is brought along and changed, and the one before can be chosen again", async (t) => {
  const page = await openDemo(t, "?steps=2&device=cpu");
  await ready(page);
  await addFiles(page, [fileURLToPath(new URL("../../../docs/contact-sheet.png", import.meta.url))]);
  await page.waitForSelector("#change");
  await page.click("#change");
  await choose(page, "strength", "0.5");
  await setPrompt(page, "a red apple");
  await page.click("#generate");
  await statusIs(page, "Done");
  assert.equal(await page.$$eval("#variants input", (inputs) => inputs.findIndex(({ checked }) => checked)), 1);
  const before = await page.$eval(".scene .layer", ({ style }) => style.width);
  await page.$eval("#variants input", (input) => input.click());
  await page.waitForFunction((before) => document.querySelector(".scene .layer").style.width !== before, {}, before);
  assert.deepEqual(await layerNames(page), ["contact-sheet"]);
});

test("several pictures that belong together", async (t) => {
  const page = await openDemo(t, "?model=/pack/&device=cpu&steps=1", packTinyModel(scratch(t)));
  await ready(page);
  await choose(page, "mode", "joint");
  const fieldsShown = await page.$$eval("[data-modes]:not([hidden])", (labels) =>
    labels.map(({ control }) => control.name),
  );
  assert.deepEqual(fieldsShown, ["foregroundPrompt", "backgroundPrompt", "blendedPrompt"]);
  await choose(page, "foregroundPrompt", "an apple");
  await choose(page, "backgroundPrompt", "floor in room");
  await page.click("#generate");
  await statusIs(page, "Done");
  assert.deepEqual(await layerNames(page), ["a red apple", "a red apple, background", "a red apple, blended"]);
});

test("a scene is built up layer by layer", async (t) => {
  const page = await openDemo(t, "?model=/pack/&device=cpu&steps=1", packTinyModel(scratch(t)));
  await ready(page);
  for (const [index, mode] of ["bg2fg", "bg2fg", "fg2bg"].entries()) {
    await choose(page, "mode", mode);
    await setPrompt(page, `${mode} ${index}`);
    await page.click("#generate");
    await page.waitForFunction((count) => document.querySelectorAll("#layers li").length === count, {}, index + 1);
  }
  assert.deepEqual(await layerNames(page), ["bg2fg 1", "bg2fg 0", "fg2bg 2"]);
});

test("what has no effect is said as a warning", async (t) => {
  const page = await openDemo(t, "?steps=1&device=cpu");
  await ready(page);
  await setPrompt(page, "a red apple <lora:nothing:1>");
  await page.click("#generate");
  await page.waitForSelector(".notice.warning");
  assert.match(await page.$eval(".notice.warning", ({ innerText }) => innerText), /lora.*nothing/i);
});

test("what goes wrong is shown, with what to do, and own pictures can be worked with all the same", async (t) => {
  const page = await openDemo(t, "?device=webgpu");
  await page.waitForSelector("#error:not([hidden])");
  const text = await page.$eval("#error", (box) => box.innerText);
  assert.match(text, /WebGPU adapter/i);
  assert.match(text, /cpu/);
  assert.ok(await page.$("#retry"));
  await addFiles(page, [fileURLToPath(new URL("../../../docs/contact-sheet.png", import.meta.url))]);
  await page.waitForSelector("#layers li");
});

test("every control has a label", async (t) => {
  const page = await openDemo(t, "?device=cpu");
  await ready(page);
  const unlabelled = await page.$$eval("input, select, textarea, button, progress, canvas[role]", (controls) =>
    controls
      .filter((control) => !control.labels?.length && !control.ariaLabel && !control.textContent.trim())
      .map((control) => control.outerHTML),
  );
  assert.deepEqual(unlabelled, []);
});
