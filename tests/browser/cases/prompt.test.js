// The prompt bar's help: what a model was taught, and LoRAs.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { openDemo, textIs } from "../lib/demo.js";
import { miniLora } from "../lib/lora.js";
import { scratch } from "../lib/native.js";
import { PackServer } from "../lib/pack.js";
import { writeSafetensors } from "../lib/safetensors.js";
import { addFiles, choose, dropOn, makeLayer as make, openSettings, ready, setPrompt } from "../lib/studio.js";

const prompt = (page) => page.$eval("[name=prompt]", ({ value }) => value);

const phrases = ["a red apple", "a red fox", "a blue cup", "on a table", "a café"];

/** Opens the page with a model that was taught a few phrases. */
async function openTaught(t, viewport) {
  const pack = new PackServer();
  pack.teach(phrases);
  const page = await openDemo(t, "?model=/pack/&device=cpu&steps=1", pack);
  if (viewport) await page.setViewport(viewport);
  await ready(page);
  return page;
}

const offers = (page) => page.$$eval("#offers [role=option]", (all) => all.map(({ textContent }) => textContent));
const isMade = (page) => page.$("#queue, #layers li");

test("what a model was taught is offered as one types, and chosen with keys", async (t) => {
  const page = await openTaught(t);
  await setPrompt(page, "a red ");
  assert.deepEqual(await offers(page), ["a red apple", "a red fox"]);
  await page.type("[name=prompt]", "f");
  assert.deepEqual(await offers(page), ["a red fox"]);
  await page.keyboard.press("ArrowDown");
  const [active, selected] = await page.$eval("[name=prompt]", (field) => [
    field.getAttribute("aria-activedescendant"),
    document.querySelector("#offers [aria-selected=true]").id,
  ]);
  assert.equal(active, selected);
  await page.keyboard.press("Enter");
  assert.deepEqual([await prompt(page), await isMade(page)], ["a red fox", null]);
  assert.deepEqual(await offers(page), []);

  await page.type("[name=prompt]", " on a ta");
  assert.deepEqual(await offers(page), ["on a table"]);
  await page.keyboard.press("Escape");
  assert.deepEqual(await offers(page), []);
  assert.equal(await page.evaluate(() => document.activeElement.getAttribute("name")), "prompt");
  await page.keyboard.press("Escape");
  assert.equal(await page.evaluate(() => document.activeElement.id), "stage");

  // In the middle of the prompt, and Enter without a choice makes the picture.
  await page.focus("[name=prompt]");
  await page.keyboard.press("Home");
  await page.keyboard.type("a bl ");
  await page.keyboard.press("ArrowLeft");
  await page.keyboard.type("u");
  assert.deepEqual(await offers(page), ["a blue cup"]);
  await page.keyboard.press("Enter");
  await page.waitForSelector("#queue, #layers li");
});

test("what is offered is chosen with a finger, on a phone", async (t) => {
  const page = await openTaught(t, { width: 390, height: 844, hasTouch: true, isMobile: true });
  await page.tap("[name=prompt]");
  await setPrompt(page, "a red ap");
  await page.tap("#offer-0");
  assert.equal(await prompt(page), "a red apple");
  assert.equal(await page.evaluate(() => document.activeElement.getAttribute("name")), "prompt");
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= 390));
});

test("words that the model was not taught are said before, and are those that the engine warns of", async (t) => {
  const page = await openTaught(t);
  await setPrompt(page, "a red dragonf");
  await textIs(page, "#untaught", "mini was not taught: dragonf\\.");
  await setPrompt(page, "a red dragonfly on a ta");
  await textIs(page, "#untaught", "was not taught: dragonfly\\.");

  const prompts = ["(Red apple:1.2), on [a] CAFÉ <lora:dragon style:0.8>, Elephants2go <3 elephants", "straße İzmir b c d e f"];
  for (const text of prompts) {
    await setPrompt(page, text);
    await page.focus("#generate");
    const before = /was not taught: (.*)\. Such/;
    await page.waitForFunction(
      (word) => document.querySelector("#untaught").textContent.includes(word),
      {},
      text.startsWith("(") ? "elephants" : "izmir".slice(1),
    );
    const said = before.exec(await page.$eval("#untaught", ({ textContent }) => textContent))[1];
    await page.click("#generate");
    const warning = await page.waitForFunction(
      () => [...document.querySelectorAll(".notice.warning")].at(-1)?.textContent.match(/was not taught: (.*);/)?.[1],
    );
    assert.equal(said, await warning.jsonValue());
    await page.$$eval(".notice.warning [aria-label=Dismiss]", (buttons) => buttons.forEach((button) => button.click()));
  }
  await setPrompt(page, "a red apple");
  await page.waitForFunction(() => document.querySelector("#untaught").textContent === "");
});

test("a model that says nothing of what it was taught offers nothing", async (t) => {
  const pack = new PackServer();
  pack.teach(undefined);
  const page = await openDemo(t, "?model=/pack/&device=cpu&steps=1", pack);
  await ready(page);
  await setPrompt(page, "a red zzz");
  assert.equal(await page.$("#offers"), null);
  assert.equal(await page.$eval("[name=prompt]", (field) => field.hasAttribute("aria-autocomplete")), false);
});

test("LoRAs are chosen or dropped at the prompt, act by their strength, and leave the settings as they are", async (t) => {
  const folder = scratch(t);
  const [lora, note] = [join(folder, "style.safetensors"), join(folder, "note.safetensors")];
  writeFileSync(lora, miniLora());
  writeFileSync(note, "no");
  const page = await openDemo(t, "?device=cpu&steps=1");
  await openSettings(page);
  await choose(page, "guidance", "3");
  const plain = await make(page);

  await (await page.$("#loras")).uploadFile(lora);
  await page.waitForSelector(".steering .chip");
  const changed = await make(page);
  assert.notDeepEqual(changed, plain);
  assert.equal(await page.$eval("[name=guidance]", ({ value }) => value), "3");
  const setStrength = (value) =>
    page.$eval(
      ".steering input",
      (slider, value) => {
        slider.value = value;
        slider.dispatchEvent(new Event("input", { bubbles: true }));
      },
      value,
    );
  await setStrength("0.5");
  const weaker = await make(page);
  assert.notDeepEqual(weaker, changed);
  assert.notDeepEqual(weaker, plain);
  await setStrength("0");
  assert.deepEqual(await make(page), plain);
  await page.click("[aria-label='Without LoRA style']");
  await page.waitForFunction(() => document.activeElement.getAttribute("name") === "prompt");

  // What is none is refused by name, and nothing is lost.
  await dropOn(page, ".bar-prompt", note);
  await textIs(page, "#error:not([hidden])", "note\\.safetensors");
  assert.equal(await page.$(".steering"), null);
  assert.deepEqual(await make(page), plain);
});

test("a checkpoint is taken to the models when it is dropped", async (t) => {
  const folder = scratch(t);
  const file = join(folder, "model.safetensors");
  const tensor = { dtype: "F32", shape: [1], bytes: Buffer.alloc(4) };
  writeFileSync(file, writeSafetensors(new Map([["model.diffusion_model.out.2.bias", tensor]])));
  const page = await openDemo(t, "?device=cpu&steps=1");
  await ready(page);
  await dropOn(page, ".bar-prompt", file);
  await page.waitForSelector("#models[open] #choices li");
  assert.equal(await page.$eval("#choices select", ({ value }) => value), "checkpoint");
  assert.equal(await page.$(".steering"), null);
});
