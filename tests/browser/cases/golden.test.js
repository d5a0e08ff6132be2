// A whole generation of each mode on WebGPU, against what the released
// LayerDiffuse code makes of the same noise: in Firefox, which runs WebGPU on lavapipe, since Chromium's own emulation
// takes several times as long.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { leftOut, loadCase, packTinyModel } from "../lib/golden.js";
import { scratch } from "../lib/native.js";
import { open } from "../lib/open.js";

// The limits for bytes are in the cases only as prose.
const strict = { equal: 0.97, largest: 2 };
const cases = [
  { name: "e2e_single", mode: "single", bytes: strict },
  { name: "e2e_joint", mode: "joint", bytes: strict },
  { name: "e2e_fg2bg", mode: "fg2bg", bytes: strict, pictures: { foreground: "condition.rgba" }, skip: leftOut },
  { name: "e2e_bg2fg", mode: "bg2fg", bytes: strict, pictures: { background: "condition.rgba" } },
  { name: "e2e_img2img", mode: "single", bytes: { equal: 0.85, largest: 3 }, pictures: { init: "init.rgba" } },
];

// One engine for all, so that each shader is built once.
const file = { after, diagnostic: console.log };
const pack = packTinyModel(scratch(file));
const page = await open(file, { firefox: true, pack });
const device = await page.evaluate(async () => {
  window.engine = await glassine.createEngine({ model: "/pack/", device: "webgpu" });
  return engine.info.device;
});

for (const { name, mode, bytes, pictures = {}, skip = false } of cases) {
  test(`${name} in Firefox on WebGPU`, { skip }, async (t) => {
    assert.equal(device, "webgpu");
    const golden = loadCase(`layerdiffuse/${name}`);
    const given = Object.entries(pictures).map(([option, tensor]) => [option, golden.shape(tensor), golden.values(tensor)]);
    const { latent, layers } = await page.evaluate(generate, optionsOf(golden, mode), given, golden.values("noise"));
    checkLatent(t, golden, latent);
    for (const layer of layers) checkBytes(t, golden, layer, bytes);
  });
}

test("the shaders of these modes are taken by Chromium, too", async (t) => {
  // Its compiler refuses what Firefox's accepts. Nothing is computed.
  const page = await open(t, { gpu: "software", pack, before: ["idle"] });
  const roles = await page.evaluate(async () => {
    const engine = await glassine.createEngine({ model: "/pack/", device: "webgpu" });
    const background = new ImageData(64, 64);
    const roles = [];
    for (const options of [{ mode: "joint" }, { mode: "bg2fg", background }]) {
      const { layers } = await engine.generate({ prompt: "a dog", width: 64, height: 64, steps: 1, decodePasses: 1, ...options });
      roles.push(layers.map(({ role }) => role));
    }
    return roles;
  });
  assert.deepEqual(roles, [["foreground", "background", "blended"], ["foreground", "blended"]]);
});

// What a request can have beside a prompt, against diffusers and the web UIs' own grammar.
const requests = [
  { name: "edit/soft_ddim" },
  { name: "edit/hold_dpmpp_2m_karras_kdiff", skip: leftOut },
  { name: "community/and", skip: leftOut },
  { name: "community/long", skip: leftOut },
  { name: "fast/tcd4_lora" },
];

for (const { name, skip = false } of requests) {
  test(`${name} in Firefox on WebGPU`, { skip }, async (t) => {
    const golden = loadCase(name);
    const { description } = golden;
    const files = ["init", "mask", "lora"].filter((file) => description[file]).map((file) => [file, [...golden.bytes(description[file].split(" ")[0])]]);
    const values = await page.evaluate(request, requestOf(description), files, golden.values("unit_noise"));
    checkTensor(t, golden, "final_latent", values);
  });
}

/** The options of a case of the pipeline's. */
function requestOf({ prompt, negative_prompt, width, height, steps, guidance_scale, seed, sampler, convention, strength }) {
  const options = { mode: "opaque", prompt, negativePrompt: negative_prompt ?? "", width, height, steps, seed, strength };
  // Only some samplers have conventions, and TCD's later noise goes on where the seed's began.
  return { ...options, guidance: guidance_scale, sampler, ...(sampler === "tcd" ? {} : { convention }) };
}

/** Runs in the page, where `engine` is. */
async function request(options, files, noise) {
  const { lora, ...pictures } = Object.fromEntries(files.map(([name, bytes]) => [name, new Blob([new Uint8Array(bytes)])]));
  const given = options.sampler === "tcd" ? {} : { noise: new Float32Array(noise) };
  const { latent } = await engine.generate({ ...options, ...pictures, ...given, loras: lora ? [{ file: lora }] : [] });
  return Array.from(latent.data);
}

function checkTensor(t, golden, name, values) {
  const expected = golden.values(name);
  const { max_abs, min_cosine } = golden.description.expected[name].tolerance;
  const off = Math.max(...values.map((value, index) => Math.abs(value - expected[index])));
  const product = (a, b) => a.reduce((sum, value, index) => sum + value * b[index], 0);
  const cosine = product(values, expected) / Math.sqrt(product(values, values) * product(expected, expected));
  t.diagnostic(`${name}: off by ${off} of ${max_abs}, cosine ${cosine}`);
  assert.equal(values.length, expected.length);
  assert.ok(off <= max_abs && cosine >= min_cosine);
}

/** The options that a case describes, without what is no plain data. */
function optionsOf({ description: { settings, img2img } }, mode) {
  return {
    mode,
    prompt: settings.prompt,
    negativePrompt: settings.negative,
    foregroundPrompt: settings.extra_prompts?.foreground,
    backgroundPrompt: settings.extra_prompts?.background,
    blendedPrompt: settings.extra_prompts?.blended,
    width: settings.width,
    height: settings.height,
    steps: settings.steps,
    guidance: settings.guidance,
    strength: img2img?.strength,
    sampler: "dpmpp-2m-karras",
    convention: "layerdiffuse",
  };
}

/** Runs in the page, where `engine` is. */
async function generate(options, pictures, noise) {
  for (const [option, [height, width], rgba] of pictures) {
    options[option] = new ImageData(new Uint8ClampedArray(rgba), width, height);
  }
  const { layers, latent } = await engine.generate({ ...options, noise: new Float32Array(noise) });
  return {
    latent: Array.from(latent.data),
    layers: layers.map(({ role, imageData }) => ({ role, rgba: Array.from(imageData.data) })),
  };
}

function checkLatent(t, golden, latent) {
  const expected = golden.values("latent.final");
  const peak = Math.max(...expected.map(Math.abs));
  const off = latent.map((value, i) => Math.abs(value - expected[i]) / peak);
  const limit = golden.description.tolerance.latent_rel_to_max;
  t.diagnostic(`latent: off by ${Math.max(...off)} of its peak; the limit is ${limit}`);
  assert.equal(latent.length, expected.length);
  assert.ok(off.every((value) => value <= limit));
}

/** At least the share `equal` of a layer's bytes is the case's, and none is off by more than `largest`. */
function checkBytes(t, golden, { role, rgba }, { equal, largest }) {
  const channels = golden.shape(`u8.${role}`)[2];
  const got = rgba.filter((_, i) => i % 4 < channels);
  const off = golden.values(`u8.${role}`).map((value, i) => Math.abs(value - got[i]));
  const share = off.filter((value) => value === 0).length / off.length;
  const most = off.reduce((a, b) => Math.max(a, b));
  t.diagnostic(`${role}: ${(100 * share).toFixed(2)} % of the bytes are equal, and none is off by more than ${most}`);
  assert.ok(share >= equal && most <= largest, role);
}
