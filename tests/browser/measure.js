// Runs a pack in a real Chromium, from import to picture, and prints one JSON object of what it took:
// see scripts/measure.

import { readFileSync, readdirSync, statSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { launch } from "./lib/chromium.js";
import { cosine, memoryUse, openTestPage } from "./lib/page.js";
import { readSafetensors, valuesOf } from "./lib/safetensors.js";
import { serveTests } from "./lib/site.js";

const gpus = { cpu: "any", swiftshader: "software", lavapipe: "lavapipe" };

async function measure(pack, { expected, json, ...choices }) {
  const before = ["memory", "default-limits", "idle"].filter((script) => script === "memory" || choices[script]);
  const site = await serveTests(pack, before);
  const { browser, close } = await launch(gpus[choices.device]);
  try {
    const page = await openTestPage(browser, site.url, console.error);
    page.on("console", (message) => console.error(`${elapsed()} ${message.text()}`));
    const report = { pack, ...choices, packBytes: bytesOf(pack), chromium: await browser.version() };
    report.importSeconds = await page.evaluate(importPack);
    const limit = choices["memory-limit"];
    report.estimate = await page.evaluate(estimate, choices.mode, Number(choices.size));
    report.loadSeconds = await page.evaluate(load, {
      device: choices.device === "cpu" ? "cpu" : "webgpu",
      memoryLimit: limit && Number(limit),
    });
    report.adapter = await page.evaluate(describeAdapter);
    const request = {
      prompt: choices.prompt,
      seed: 0,
      width: Number(choices.size),
      height: Number(choices.size),
      steps: Number(choices.steps),
      decodePasses: Number(choices.passes),
      vae: choices.vae,
      // Transparent pictures are always decoded by the full VAE.
      mode: choices.mode ?? (choices.vae === "tiny" ? "opaque" : undefined),
    };
    const picture = await page.evaluate(generate, request);
    if (choices.count) report.several = await page.evaluate(generateSeveral, { ...request, count: Number(choices.count) });
    Object.assign(report, { timings: picture.timings, memory: await memoryUse(page) });
    if (expected) report.likeness = compare(picture, readSafetensors(expected));
    return report;
  } finally {
    await close();
    await site.close();
  }
}

/** Since this program was started. */
const elapsed = () => `${performance.now().toFixed(0)} ms:`;

function bytesOf(folder) {
  return readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
}

// These run in the page.

async function importPack() {
  const start = performance.now();
  await models.import("/pack/", { name: "measured" });
  return (performance.now() - start) / 1000;
}

async function estimate(mode, size) {
  const { gpuMemory } = await models.estimate("measured", { mode, width: size, height: size });
  return gpuMemory;
}

async function load(options) {
  const start = performance.now();
  const onProgress = ({ loadedBytes }) => console.info(`loaded ${loadedBytes}`);
  window.engine = await glassine.createEngine({ model: "measured", ...options, onProgress });
  return (performance.now() - start) / 1000;
}

async function generate(options) {
  const onProgress = ({ phase, step, pass }) => console.info(phase, step ?? pass ?? "");
  const { layers, latent, timings } = await engine.generate({ ...options, onProgress });
  return { latent: Array.from(latent.data), rgba: Array.from(layers[0].imageData.data), timings };
}

/** Several pictures at once and one after the other, by seconds, and how far their latents are from each other. */
async function generateSeveral({ count, ...options }) {
  const timed = async (work) => {
    const start = performance.now();
    return [await work(), (performance.now() - start) / 1000];
  };
  const [{ latents }, together] = await timed(() => engine.generate({ ...options, count }));
  const [alone, inTurn] = await timed(async () => {
    const made = [];
    for (const { seed } of latents) made.push((await engine.generate({ ...options, seed })).latent);
    return made;
  });
  const errors = latents.flatMap(({ data }, index) => Array.from(data, (value, at) => Math.abs(value - alone[index].data[at])));
  return { count, together, inTurn, largestDifference: Math.max(...errors) };
}

async function describeAdapter() {
  const adapter = await navigator.gpu?.requestAdapter();
  const { vendor, architecture, description } = adapter?.info ?? {};
  return { vendor, architecture, description };
}

/** Compares a picture with what `glassine generate --dump` stored of the same one. */
function compare({ latent, rgba }, tensors) {
  const values = valuesOf(tensors.get("latent.final"));
  const error = Math.max(...values.map((value, i) => Math.abs(value - latent[i])));
  const picture = tensors.get("rgba") ?? tensors.get("pixel");
  return { latentCosine: cosine(values, latent), latentError: error, rgbaDecibels: psnr(rgba, picture) };
}

/** The signal-to-noise ratio of RGBA bytes, against planes of red, green, blue and perhaps alpha from 0 to 1. */
function psnr(bytes, expected) {
  const planes = valuesOf(expected);
  const pixels = planes.length / expected.shape[1];
  const squares = planes.reduce((sum, value, i) => {
    const byte = bytes[(i % pixels) * 4 + Math.floor(i / pixels)];
    return sum + (value - byte / 255) ** 2;
  }, 0);
  return -10 * Math.log10(squares / planes.length);
}

try {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      device: { type: "string", default: "cpu" },
      prompt: { type: "string", default: "a glass bottle" },
      size: { type: "string", default: "64" },
      steps: { type: "string", default: "1" },
      passes: { type: "string", default: "1" },
      vae: { type: "string", default: "full" },
      mode: { type: "string" },
      count: { type: "string" },
      "memory-limit": { type: "string" },
      "default-limits": { type: "boolean", default: false },
      idle: { type: "boolean", default: false },
      expected: { type: "string" },
      json: { type: "string" },
    },
  });
  if (positionals.length !== 1) throw new Error("a pack's folder is needed: scripts/measure PACK_DIR");
  if (!(values.device in gpus)) throw new Error(`unknown device ${values.device}: use cpu, swiftshader or lavapipe`);
  const result = JSON.stringify(await measure(positionals[0], values), null, 2);
  console.log(result);
  if (values.json) await writeFile(values.json, `${result}\n`);
} catch (error) {
  console.error(`error: ${error.message}`);
  process.exitCode = 1;
}
