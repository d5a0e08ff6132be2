// The shelf in the studio: files that are dropped once, and chosen at every visit.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { openDemo, textIs, unfoldModels } from "../lib/demo.js";
import { controlNet } from "../lib/golden.js";
import { miniEmbedding, miniLora } from "../lib/lora.js";
import { scratch } from "../lib/native.js";
import { mini } from "../lib/pack.js";
import { addFiles, choose, drawn, dropOn, makeLayer as make, openSettings, setPrompt } from "../lib/studio.js";
import { pngWithTexts } from "../lib/texts.js";

const ink = miniLora({ metadata: { "modelspec.trigger_phrase": "a red, ink style", ss_sd_model_name: "v1-5.safetensors" } });

/** As the web UIs know a LoRA: by what follows its header. */
const hashOf = (bytes) => createHash("sha256").update(bytes.subarray(8 + Number(bytes.readBigUInt64LE(0)))).digest("hex");

/** Opens the studio with its settings, and writes these files. */
async function openWith(t, files) {
  const folder = scratch(t);
  const path = (name) => join(folder, name);
  for (const [name, bytes] of Object.entries(files)) writeFileSync(path(name), bytes);
  const page = await openDemo(t, "?device=cpu&steps=1&prompt=a red apple&seed=3");
  await openSettings(page);
  return { page, path };
}

const prompt = (page) => page.$eval("[name=prompt]", ({ value }) => value);

/** What the shelf has for prompts, each with what is said of it. */
const offers = (page, count) =>
  page
    .waitForFunction((count) => document.querySelectorAll("#shelfOffers li").length === count, {}, count)
    .then(() => page.$$eval("#shelfOffers li", (rows) => rows.map(({ innerText }) => innerText.replace(/\s+/g, " "))));

test("a LoRA that is dropped is there at the next visit, with its words and a slider, until it is removed", async (t) => {
  const { page, path } = await openWith(t, { "Ink.safetensors": ink });
  await dropOn(page, ".bar-prompt", path("Ink.safetensors"));
  await page.waitForSelector("[aria-label='Strength of LoRA Ink']");
  const strong = await make(page);

  // A phrase that the prompt has is not offered any more.
  assert.deepEqual(await page.$$eval(".steering .word", (words) => words.map(({ innerText }) => innerText)), ["+ ink style"]);
  await page.click("[aria-label='Write ink style into the prompt']");
  assert.equal(await prompt(page), "a red apple, ink style");
  assert.equal(await page.$(".steering .word"), null);

  await page.reload();
  await openSettings(page);
  assert.deepEqual(await offers(page, 1), ["Ink a red, ink style"]);
  assert.equal(await page.$(".steering .chip"), null);
  const plain = await make(page);
  assert.notDeepEqual(plain, strong);
  await page.click("[aria-label='LoRA Ink']");
  await page.waitForSelector("[aria-label='Strength of LoRA Ink']");
  assert.equal(await page.$eval("[aria-label='LoRA Ink']", (button) => button.getAttribute("aria-pressed")), "true");
  assert.deepEqual(await make(page), strong);
  await page.click("[aria-label='LoRA Ink']");
  assert.deepEqual(await make(page), plain);
  // A tag takes it from the shelf, too.
  await setPrompt(page, "a red apple<lora:ink:1>");
  assert.deepEqual(await make(page), strong);

  await page.click("[aria-label='LoRA Ink']");
  await unfoldModels(page);
  await textIs(page, "#shelfList", "Ink 0\\.0 MB, LoRA \\(plain\\), trained on v1-5\\.safetensors");
  await page.click("[aria-label='Remove Ink from the shelf']");
  await page.waitForFunction(() => !document.querySelector("#shelfList li") && !document.querySelector(".steering .chip"));
  assert.equal(await page.$("#shelfOffers"), null);
});

test("what does not fit the model is shown with the reason, and an embedding is a word", async (t) => {
  const other = miniLora({ layer: "lora_unet_down_blocks_9_attentions_0_transformer_blocks_0_attn2_to_k" });
  const { page, path } = await openWith(t, { "other.safetensors": other, "swirl.safetensors": miniEmbedding(128) });
  await dropOn(page, ".bar-prompt", path("other.safetensors"), path("swirl.safetensors"));
  await textIs(page, ".notices", "The embedding swirl is on the shelf");
  await textIs(page, ".steering .misfit", "does not fit this model.*no layer for .*down_blocks_9");
  const [misfit, word] = await offers(page, 2);
  assert.match(misfit, /^other Does not fit this model: .*no layer/);
  assert.equal(word, "swirl A word for prompts");
  await page.waitForSelector("[aria-label='LoRA other']:disabled");
  await page.click("[aria-label='Without LoRA other']");
  await page.click("[aria-label='Write the embedding swirl into the prompt']");
  assert.equal(await prompt(page), "a red apple, swirl");
  const swirled = await make(page);
  assert.equal(await page.$eval("#untaught", ({ textContent }) => textContent.includes("swirl")), false);
  await setPrompt(page, "a red apple");
  assert.notDeepEqual(await make(page), swirled);
});

test("another file of a name gets a name of its own, and the same one is kept once", async (t) => {
  const changed = Buffer.from(ink);
  changed[changed.length - 2] ^= 1;
  const { page, path } = await openWith(t, { "ink.safetensors": ink, "copy.safetensors": ink });
  await dropOn(page, ".bar-prompt", path("ink.safetensors"));
  await page.waitForSelector("[aria-label='Strength of LoRA ink']");
  await dropOn(page, ".bar-prompt", path("copy.safetensors"));
  writeFileSync(path("ink.safetensors"), changed);
  await dropOn(page, ".bar-prompt", path("ink.safetensors"));
  await page.waitForSelector("[aria-label='Strength of LoRA ink-2']");
  assert.deepEqual(await offers(page, 2), ["ink a red, ink style", "ink-2 a red, ink style"]);
  assert.equal(await page.$$eval(".steering .chip", ({ length }) => length), 2);
});

test("a picture's LoRAs are taken from the shelf, by hash where the name is another, and the others are named", async (t) => {
  const { width, height } = mini.defaults;
  const text = [
    "a red apple <lora:pen:0.5> <lora:brush:1>",
    `Steps: 1, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 3, Seed: 3, Size: ${width}x${height}, Lora hashes: "pen: ${hashOf(ink).slice(0, 12)}, brush: 0a1b2c3d4e5f"`,
  ].join("\n");
  const { page, path } = await openWith(t, { "ink.safetensors": ink, "apple.png": pngWithTexts({ parameters: text }) });
  await dropOn(page, ".bar-prompt", path("ink.safetensors"));
  await page.waitForSelector("[aria-label='Strength of LoRA ink']");
  await choose(page, "guidance", "3");
  await page.$eval("[aria-label='Strength of LoRA ink']", (slider) => {
    slider.value = "0.5";
    slider.dispatchEvent(new Event("input", { bubbles: true }));
  });
  const expected = await make(page);
  await page.click("[aria-label='Without LoRA ink']");

  await addFiles(page, [path("apple.png")]);
  await drawn(page, 2);
  await textIs(page, ".notices", "apple.png says how it was made");
  const notice = await page.$eval(".notice.offer", ({ textContent }) => textContent);
  assert.match(notice, /The LoRA brush \(0a1b2c3d4e5f\) is not on the shelf\./);
  assert.doesNotMatch(notice, /pen/);
  await page.click(".notice.offer button:not(.ghost)");
  await page.waitForSelector("[aria-label='Strength of LoRA pen']");
  assert.equal(await page.$eval("[aria-label='Strength of LoRA pen']", ({ value }) => value), "0.5");
  assert.equal(await page.$$eval(".steering .chip", ({ length }) => length), 1);
  assert.deepEqual(await make(page), expected);
});

test("a ControlNet that is dropped is on the shelf, and is packed from there", async (t) => {
  const { page } = await openWith(t, {});
  await dropOn(page, ".bar-prompt", join(controlNet, "diffusion_pytorch_model.safetensors"));
  await textIs(page, ".notices", "The ControlNet diffusion_pytorch_model is on the shelf");
  await unfoldModels(page);
  await textIs(page, "#shelfList", "diffusion_pytorch_model .* MB, ControlNet");
  await page.click("[aria-label^='Pack diffusion_pytorch_model']");
  await page.waitForSelector("#choices li");
  assert.deepEqual(await page.$$eval("#choices select", (selects) => selects.map(({ value }) => value)), ["controlnet"]);
  assert.equal(await page.$("#shelfOffers"), null, "it is no choice for prompts");
});
