// The demo page, used as a visitor would.

import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { openDemo, textIs } from "../lib/demo.js";
import { packTinyModel } from "../lib/golden.js";
import { scratch } from "../lib/native.js";

const statusIs = (page, pattern) => textIs(page, "#status", pattern);

test("a prompt in the address makes a picture that can be saved and looked at", async (t) => {
  const page = await openDemo(t, "?prompt=a+red+apple&seed=7&steps=2&auto=1&device=cpu");
  const result = await page.evaluate(() => glassineResult);
  assert.equal(result.device, "cpu");
  assert.deepEqual([...Buffer.from(result.png, "base64").subarray(1, 4)], [...Buffer.from("PNG")]);

  assert.equal(await page.$eval("#download", (link) => link.download), "a-red-apple-7.png");
  const saved = await page.$eval("#download", async (link) => (await (await fetch(link.href)).blob()).size);
  assert.equal(saved, Buffer.from(result.png, "base64").length);

  const alphas = () =>
    page.$eval("#picture", (canvas) => {
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      return [...new Set(data.filter((_, i) => i % 4 === 3))];
    });
  assert.ok((await alphas()).length > 1);
  await page.$eval("input[value=rgb]", (input) => input.click());
  assert.deepEqual(await alphas(), [255]);
});

test("Cancel stops a request, and Generate makes another", async (t) => {
  const page = await openDemo(t, "?steps=50");
  await page.waitForSelector("#generate:not(:disabled)");
  await page.click("#generate");
  await statusIs(page, "Step [1-9]");
  await page.click("#cancel");
  await statusIs(page, "Cancelled");
  await page.$eval("input[name=steps]", (input) => (input.value = "1"));
  await page.click("#generate");
  await statusIs(page, "Done");
});

const choose = (page, name, value) =>
  page.$eval(
    `[name=${name}]`,
    (control, value) => {
      control.value = value;
      for (const type of ["input", "change"]) control.dispatchEvent(new Event(type, { bubbles: true }));
    },
    value,
  );

/** The names of the fields that depend on the mode, as far as they are there. */
const fieldsShown = (page) =>
  page.$$eval("[data-modes]:not([hidden])", (labels) => labels.map(({ control }) => control.name));

test("the modes of the model are offered, and what the others need is said", async (t) => {
  const page = await openDemo(t, "");
  await page.waitForSelector("#generate:not(:disabled)");
  assert.deepEqual(await page.$$eval("[name=mode] option", (options) => options.map(({ value }) => value)), ["single", "opaque"]);
  const lacking = await page.$eval("#lacking", (details) => details.textContent);
  for (const mode of ["joint", "fg2bg", "bg2fg"]) assert.ok(lacking.includes(`layer_sd15_${mode}.safetensors`), mode);
  assert.deepEqual(await fieldsShown(page), ["init", "strength"]);
});

test("a picture to start from is taken, and an ordinary picture made", async (t) => {
  const page = await openDemo(t, "?steps=2&device=cpu");
  await page.waitForSelector("#generate:not(:disabled)");
  await choose(page, "mode", "opaque");
  const input = await page.$("[name=init]");
  await input.uploadFile(fileURLToPath(new URL("../../../docs/contact-sheet.png", import.meta.url)));
  await choose(page, "strength", "0.5");
  await page.click("#generate");
  await statusIs(page, "Done");
  assert.match(await page.$eval("#pixels", (fact) => fact.textContent), /image/);
});

test("several pictures that belong together", async (t) => {
  const page = await openDemo(t, "?model=/pack/&device=cpu&steps=1", packTinyModel(scratch(t)));
  await page.waitForSelector("#generate:not(:disabled)");
  await choose(page, "mode", "joint");
  assert.deepEqual(await fieldsShown(page), ["foregroundPrompt", "backgroundPrompt", "blendedPrompt"]);
  await choose(page, "foregroundPrompt", "an apple");
  await choose(page, "backgroundPrompt", "floor in room");
  await page.click("#generate");
  await statusIs(page, "Done");
  const made = await page.$$eval("#history img", (images) => images.map(({ alt }) => alt.split(", ")[1]));
  assert.deepEqual(made, ["foreground", "background", "blended"]);
});

/** The names of the layers in the list, and the pixels of what they make together. */
const sceneOf = (page) =>
  page.evaluate(() => ({
    names: [...document.querySelectorAll("#layers strong")].map(({ textContent }) => textContent),
    pixels: [...document.querySelector("#scene-picture").getContext("2d").getImageData(0, 0, 64, 64).data].join(),
  }));

test("pictures become layers of a scene that are ordered, mixed, hidden and saved", async (t) => {
  const page = await openDemo(t, "?prompt=a+red+apple&steps=2&auto=1&device=cpu");
  await page.evaluate(() => glassineResult);
  await page.click("#keep");
  await choose(page, "prompt", "a blue cup");
  await page.click("#generate");
  await page.waitForFunction(() => document.querySelectorAll("#history img").length === 2);
  await page.click("#keep");

  let before = "";
  /** Waits until the scene looks different. */
  const change = async () => {
    await page.waitForFunction(
      (before) => {
        const canvas = document.querySelector("#scene-picture");
        return canvas.width === 64 && canvas.getContext("2d").getImageData(0, 0, 64, 64).data.join() !== before;
      },
      {},
      before,
    );
    const { names, pixels } = await sceneOf(page);
    before = pixels;
    return names;
  };
  assert.deepEqual(await change(), ["a blue cup, foreground", "a red apple, foreground"]);
  await page.click("#layers [name=down]");
  assert.deepEqual(await change(), ["a red apple, foreground", "a blue cup, foreground"]);
  await choose(page, "opacity", "0.5");
  await change();
  await choose(page, "blend", "multiply");
  await change();
  await page.click("#layers li:last-child [name=visible]");
  await change();

  const saved = await page.$eval("#scene-json", async (link) => (await fetch(link.href)).json());
  assert.deepEqual(
    saved.layers.map(({ image, opacity, blend, visible }) => [image, opacity, blend, visible]),
    [["a-blue-cup.png", 1, "normal", false], ["a-red-apple.png", 0.5, "multiply", true]],
  );
  assert.equal(saved.layers[1].recipe.prompt, "a red apple");
  assert.deepEqual(await page.$$eval("#layers a", (links) => links.map(({ download }) => download)), ["a-red-apple.png", "a-blue-cup.png"]);
  const png = await page.$eval("#scene-png", async (link) => [...new Uint8Array(await (await fetch(link.href)).arrayBuffer())]);
  assert.deepEqual(png.slice(1, 4), [...Buffer.from("PNG")]);

  await page.click("#layers [name=remove]");
  assert.deepEqual(await page.$$eval("#layers li", (rows) => rows.length), 1);
});

test("a layer is generated into a scene where the model can, and else it is said what that needs", async (t) => {
  const page = await openDemo(t, "?steps=1&device=cpu");
  await page.waitForSelector("#front:not(:disabled)");
  await page.click("#front");
  await statusIs(page, "Done");
  assert.equal((await sceneOf(page)).names.length, 1);
  assert.equal(await page.$("#front:not(:disabled)"), null);
  assert.match(await page.$eval("#scene-lacking", (text) => text.textContent), /layer_sd15_bg2fg\.safetensors.*layer_sd15_fg2bg\.safetensors/);
});

test("a scene is built up layer by layer", async (t) => {
  const page = await openDemo(t, "?model=/pack/&device=cpu&steps=1&prompt=an+apple", packTinyModel(scratch(t)));
  for (const where of ["front", "front", "behind"]) {
    await page.waitForSelector(`#${where}:not(:disabled)`);
    await choose(page, "prompt", where);
    await page.click(`#${where}`);
    await page.waitForSelector("#cancel:not([hidden])");
    await statusIs(page, "Done");
  }
  assert.deepEqual((await sceneOf(page)).names, ["front, foreground", "front, foreground", "behind, background"]);
});

test("what goes wrong is shown, with what to do", async (t) => {
  const page = await openDemo(t, "?device=webgpu");
  await page.waitForSelector("#error:not([hidden])");
  const text = await page.$eval("#error", (box) => box.innerText);
  assert.match(text, /WebGPU adapter/i);
  assert.match(text, /cpu/);
});

test("every control has a label", async (t) => {
  const page = await openDemo(t, "");
  const unlabelled = await page.$$eval("input, select, textarea, button, progress, canvas", (controls) =>
    controls
      .filter((control) => !control.labels?.length && !control.ariaLabel && !control.textContent.trim())
      .map((control) => control.outerHTML),
  );
  assert.deepEqual(unlabelled, []);
});
