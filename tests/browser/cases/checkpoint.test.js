// A checkpoint from the visitor's disk, imported and used through the demo page.

import assert from "node:assert/strict";
import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { test } from "node:test";
import { answer, modelRows, openPanel, textIs, unfoldModels } from "../lib/demo.js";
import { checkpoint, companion, singleFile } from "../lib/golden.js";
import { scratch } from "../lib/native.js";
import { dropOn } from "../lib/studio.js";

const decoder = companion("vae_transparent_decoder");
const attn = companion("transparent_attn");

const choose = async (page, input, ...paths) => (await page.$(`#checkpointForm [name=${input}]`)).uploadFile(...paths);

/** What the page takes the chosen files for, by their names. */
async function choices(page, count) {
  await page.waitForFunction((count) => document.querySelectorAll("#choices li").length === count, {}, count);
  const rows = await page.$$eval("#choices li", (rows) =>
    rows.map((row) => [row.querySelector("b").textContent, row.querySelector("select").value]),
  );
  return Object.fromEntries(rows);
}

/** The select that says what a file is. */
const roleOf = (file) => `[aria-label="What ${basename(file)} is"]`;

const importAs = async (page, name) => {
  await page.type("#packing [name=name]", name);
  await page.click("#packing button");
};

test("a checkpoint and its companions are chosen, imported, and make a transparent picture", async (t) => {
  const page = await openPanel(t);
  await choose(page, "files", singleFile(scratch(t)), decoder, attn);
  assert.deepEqual(await choices(page, 3), {
    "tiny.safetensors": "checkpoint",
    [basename(decoder)]: "transparencyDecoder",
    [basename(attn)]: "attn",
  });
  assert.equal(await page.$eval("#packing [name=name]", (input) => input.placeholder), "tiny");
  assert.match(await page.$eval("#choicesNote", (note) => note.textContent), /^[1-9]\d*\.\d MB will be read/);
  await textIs(page, "#room", "room for [1-9]\\d*\\.\\d MB");

  await page.click("#packing button");
  await textIs(page, "#modelStatus", "tiny is stored");
  await page.waitForSelector('[aria-label="Use tiny"]');
  assert.match((await modelRows(page))[1], /^tiny [\d.]+ MB Use Verify Repair Remove$/);
  assert.deepEqual(await choices(page, 0), {});

  await Promise.all([page.waitForNavigation(), page.$eval('[aria-label="Use tiny"]', (link) => link.click())]);
  await page.waitForSelector("#generate:not(:disabled)");
  // The smallest picture, in one step: this is no test of speed.
  await page.$eval("[name=size]", (select) => select.replaceChildren(new Option("64 × 64", "64x64")));
  await page.$eval("[name=steps]", (input) => (input.value = "1"));
  await page.click("#generate");
  await textIs(page, "#status", "Done");
  assert.match(await page.$eval("#pixels", (fact) => fact.textContent), /foreground/);
});

test("a folder is chosen, with files beside it", async (t) => {
  const page = await openPanel(t);
  const folder = join(scratch(t), "tiny model");
  cpSync(checkpoint(scratch(t)), folder, { recursive: true });
  cpSync(decoder, join(folder, basename(decoder)));
  await choose(page, "folder", folder);
  assert.deepEqual(await choices(page, 2), { "tiny model": "checkpoint", [basename(decoder)]: "transparencyDecoder" });
  await page.click("#packing button");
  await textIs(page, "#modelStatus", "tiny-model is stored");
});

test("a folder and files are dropped", async (t) => {
  const page = await openPanel(t);
  const model = checkpoint(scratch(t));
  await dropOn(page, ".drop", model, decoder);
  await dropOn(page, ".drop", attn);
  assert.deepEqual(await choices(page, 3), {
    [basename(model)]: "checkpoint",
    [basename(decoder)]: "transparencyDecoder",
    [basename(attn)]: "attn",
  });
  await importAs(page, "dropped");
  await textIs(page, "#modelStatus", "dropped is stored");
});

test("a folder of everything is sorted, and what is no model is passed over", async (t) => {
  const page = await openPanel(t);
  const folder = scratch(t);
  const paths = [
    "sd15/model_index.json",
    "sd15/unet/config.json",
    "sd15/unet/diffusion_pytorch_model.safetensors",
    "canny/config.json",
    "canny/diffusion_pytorch_model.safetensors",
    "taesd_decoder.safetensors",
    "more/layer_sd15_bg2fg (1).safetensors",
    "more/style.safetensors",
    // A browser gives a folder in portions of a hundred.
    ...Array.from({ length: 150 }, (_, i) => `notes/${i}.txt`),
  ];
  for (const path of paths) {
    mkdirSync(join(folder, dirname(path)), { recursive: true });
    writeFileSync(join(folder, path), "");
  }
  const expected = {
    sd15: "checkpoint",
    canny: "controlnet",
    "taesd_decoder.safetensors": "taesdDecoder",
    "layer_sd15_bg2fg (1).safetensors": "bg2fg",
    "style.safetensors": "unused",
  };
  await dropOn(page, ".drop", folder);
  assert.deepEqual(await choices(page, 5), expected);
  await page.click("#choices button");
  await choices(page, 4);

  await dropOn(page, ".drop", join(folder, "notes"));
  await textIs(page, "#choicesNote", "neither a .safetensors or .ckpt file nor a model's folder");
  await dropOn(page, ".drop", join(folder, "sd15"));
  assert.deepEqual(await choices(page, 5), expected);
});

test("what a file is can be corrected, and one file can be removed", async (t) => {
  const page = await openPanel(t);
  const folder = scratch(t);
  const [own, lora] = ["my-decoder.safetensors", "style-lcm.safetensors"].map((name) => join(folder, name));
  cpSync(decoder, own);
  writeFileSync(lora, "not a LoRA");
  await choose(page, "files", own);
  assert.deepEqual(await choices(page, 1), { "my-decoder.safetensors": "checkpoint" });
  await page.select(roleOf(own), "transparencyDecoder");
  await textIs(page, "#choicesNote", "Nothing here is the checkpoint yet");
  assert.ok(await page.$("#packing button:disabled"));

  await choose(page, "files", singleFile(folder), lora, decoder);
  assert.deepEqual(await choices(page, 4), {
    "my-decoder.safetensors": "transparencyDecoder",
    "tiny.safetensors": "checkpoint",
    "style-lcm.safetensors": "unused",
    [basename(decoder)]: "transparencyDecoder",
  });
  await textIs(page, "#choicesNote", "more than one of this: Transparency decoder");
  await page.click(`[aria-label="Remove ${basename(decoder)} from the files"]`);
  assert.equal(await page.$("#choices .strength:not([hidden])"), null);
  await page.select(roleOf(lora), "lora");
  assert.ok(await page.$("#choices .strength:not([hidden])"));
  const steps = () => page.$eval("#packing [name=fewSteps]", (select) => select.value);
  assert.equal(await steps(), "lcm");
  await page.select(roleOf(lora), "unused");
  assert.equal(await steps(), "");
  await page.click("#packing button");
  await textIs(page, "#modelStatus", "tiny is stored");
});

test("a wrong file is refused with what to do, and nothing is lost", async (t) => {
  const page = await openPanel(t);
  const folder = scratch(t);
  const model = singleFile(folder);
  await choose(page, "files", model);
  await importAs(page, "good");
  await page.waitForSelector('[aria-label="Use good"]');
  const before = await modelRows(page);

  await choose(page, "files", model, attn);
  await page.select(roleOf(attn), "transparencyDecoder");
  await importAs(page, "good");
  await answer(page, "^Replace good");
  await textIs(page, "#modelError:not([hidden])", "is not a transparency_decoder[^]*published");
  assert.deepEqual(await modelRows(page), before);
  assert.deepEqual(Object.values(await choices(page, 2)), ["checkpoint", "transparencyDecoder"]);

  await page.select(roleOf(attn), "attn");
  await page.click("#packing button");
  await answer(page, "^Replace good");
  await textIs(page, "#modelStatus", "good is stored");
  assert.ok(await page.$("#modelError[hidden]"));
});

test("a cancelled import leaves nothing, and can be started again", async (t) => {
  const page = await openPanel(t);
  await choose(page, "files", singleFile(scratch(t)));
  // Pressed at the first piece that is packed.
  await page.evaluate(() => {
    const status = document.querySelector("#modelStatus");
    const observer = new MutationObserver(() => {
      if (!status.textContent.startsWith("Packing")) return;
      observer.disconnect();
      document.querySelector("#modelCancel").click();
    });
    observer.observe(status, { childList: true, characterData: true, subtree: true });
  });
  await importAs(page, "tiny");
  await textIs(page, "#modelStatus", "Cancelled");
  const stored = await page.evaluate(async () => {
    const root = await navigator.storage.getDirectory();
    const own = await root.getDirectoryHandle("glassine");
    return Array.fromAsync((await own.getDirectoryHandle("models")).keys());
  });
  assert.deepEqual(stored, []);
  assert.equal((await modelRows(page)).length, 1);
  assert.deepEqual(await choices(page, 1), { "tiny.safetensors": "checkpoint" });

  await page.click("#packing button");
  await textIs(page, "#modelStatus", "tiny is stored");
});

/** The manifest that the browser has stored of a model. */
const manifestOf = (page, name) =>
  page.evaluate(async (name) => {
    const root = await navigator.storage.getDirectory();
    const models = await (await root.getDirectoryHandle("glassine")).getDirectoryHandle("models");
    const folder = await models.getDirectoryHandle(name);
    const json = async (file) => JSON.parse(await (await (await folder.getFileHandle(file)).getFile()).text());
    return json((await json("model.json")).manifest);
  }, name);

test("a checkpoint that is transparent by itself is packed as such", async (t) => {
  const page = await openPanel(t);
  await choose(page, "files", singleFile(scratch(t)), decoder);
  await choices(page, 2);
  await page.click("#packing [name=nativeTransparency]");
  await page.click("#packing button");
  await textIs(page, "#modelStatus", "tiny is stored");
  assert.equal((await manifestOf(page, "tiny")).native_transparency, true);
  assert.equal(await page.$eval("[name=nativeTransparency]", ({ checked }) => checked), false);
});

/** Loads the page anew as soon as a packing is under way. */
async function cutOff(page) {
  await page.evaluate(() => {
    const status = document.querySelector("#modelStatus");
    const observer = new MutationObserver(() => {
      if (!status.textContent.startsWith("Packing")) return;
      observer.disconnect();
      location.reload();
    });
    observer.observe(status, { childList: true, characterData: true, subtree: true });
  });
  await Promise.all([page.waitForNavigation(), page.click("#packing button")]);
  await textIs(page, "#models .mark", "1 unfinished");
  await unfoldModels(page);
}

test("a packing whose page was closed starts again with one click where the browser can read the files again", async (t) => {
  const folder = scratch(t);
  singleFile(folder);
  const page = await openPanel(t, folder);
  // A file of the page's own, which needs no leave; what a picker gives is asked for.
  await page.evaluate(async () => {
    const root = await navigator.storage.getDirectory();
    const file = await (await root.getFileHandle("tiny.safetensors", { create: true })).createWritable();
    await (await fetch("/pack/tiny.safetensors")).body.pipeTo(file);
  });
  await page.evaluateOnNewDocument(() => {
    window.showOpenFilePicker = async () => {
      const root = await navigator.storage.getDirectory();
      return [await root.getFileHandle("tiny.safetensors")];
    };
  });
  await page.reload();
  await unfoldModels(page);
  await page.click("#checkpointForm [name=files]");
  await choices(page, 1);
  await page.select("#packing [name=quantize]", "q8");
  await page.type("#packing [name=name]", "again");
  await cutOff(page);
  await textIs(page, "#unfinished", "Packing again was cut off, and nothing of it is stored.*tiny.safetensors");
  await page.click("#unfinished button");
  await textIs(page, "#modelStatus", "again is stored");
  assert.equal((await manifestOf(page, "again")).precision, "q8");
  await page.reload();
  await unfoldModels(page);
  await page.waitForSelector('[aria-label="Use again"]');
  assert.equal(await page.$("#unfinished"), null);
});

test("where it cannot, the files are chosen again, and are taken for what they were", async (t) => {
  const folder = scratch(t);
  const [model, style] = [singleFile(folder), join(folder, "style.safetensors")];
  cpSync(attn, style);
  const page = await openPanel(t);
  await page.evaluateOnNewDocument(() => delete window.showOpenFilePicker);
  await page.reload();
  await unfoldModels(page);
  await choose(page, "files", model, style, decoder);
  await choices(page, 3);
  await page.select(roleOf(style), "attn");
  await page.select("#packing [name=quantize]", "f16");
  await cutOff(page);

  const [chooser] = await Promise.all([page.waitForFileChooser(), page.click("#unfinished button")]);
  await chooser.accept([model, style]);
  assert.deepEqual(await choices(page, 2), { "tiny.safetensors": "checkpoint", "style.safetensors": "attn" });
  await textIs(page, "#choicesNote", `Still to be chosen: ${basename(decoder)}`);
  await choose(page, "files", decoder);
  await choices(page, 3);
  assert.equal(await page.$eval("#packing [name=quantize]", ({ value }) => value), "f16");
  await page.click("#packing button");
  await textIs(page, "#modelStatus", "tiny is stored");
  assert.equal((await manifestOf(page, "tiny")).precision, "f16");
  assert.equal(await page.$("#unfinished"), null);
});
