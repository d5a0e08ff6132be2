// A prompt becomes a layer, on either device.

import assert from "node:assert/strict";
import { test } from "node:test";
import { open } from "../lib/open.js";
import { cosine } from "../lib/page.js";

/** Pictures so small that a software adapter makes them soon. */
const side = 64;

/** Runs in the page. */
async function generate(device, side) {
  const engine = await glassine.createEngine({ model: "mini", device });
  const options = { width: side, height: side, steps: 2, decodePasses: 1 };
  const { layers, latent, timings } = await engine.generate({ prompt: "a red apple", seed: 7, ...options });
  const [layer] = layers;
  const blob = await layer.toBlob();
  const bitmap = await layer.toImageBitmap();
  await engine.dispose();
  return {
    device: engine.info.device,
    layers: layers.map(({ role, seed, width, height }) => ({ role, seed, width, height })),
    pixels: layer.imageData.data.length,
    blob: { type: blob.type, size: blob.size },
    bitmap: [bitmap.width, bitmap.height],
    latent: { ...latent, data: Array.from(latent.data) },
    timings,
  };
}

function check(result, device) {
  assert.equal(result.device, device);
  assert.deepEqual(result.layers, [{ role: "foreground", seed: 7, width: side, height: side }]);
  assert.equal(result.pixels, side * side * 4);
  assert.equal(result.blob.type, "image/png");
  assert.ok(result.blob.size > 100);
  assert.deepEqual(result.bitmap, [side, side]);
  assert.equal(result.latent.data.length, result.latent.frames * 4 * result.latent.width * result.latent.height);
  assert.ok(result.latent.data.every(Number.isFinite));
  assert.ok(Object.values(result.timings).every((ms) => ms >= 0));
}

test("the CPU and WebGPU each make a layer, and from the same seed the same latent", async (t) => {
  const page = await open(t, { gpu: "software" });
  const cpu = await page.evaluate(generate, "cpu", side);
  check(cpu, "cpu");
  const gpu = await page.evaluate(generate, "webgpu", side);
  check(gpu, "webgpu");
  const likeness = cosine(cpu.latent.data, gpu.latent.data);
  t.diagnostic(`cosine of the latents: ${likeness}`);
  assert.ok(likeness > 0.999);
});

test("a GPU that computes in half precision does so, and makes nearly the same latent", async (t) => {
  // Chromium's emulation does not.
  const page = await open(t, { firefox: true, before: ["half-precision"] });
  const { shaders, cpu, webgpu } = await page.evaluate(async (side) => {
    let shaders = 0;
    new BroadcastChannel("half-precision").onmessage = () => shaders++;
    const latents = {};
    for (const device of ["cpu", "webgpu"]) {
      const engine = await glassine.createEngine({ model: "mini", device });
      const { latent } = await engine.generate({ prompt: "a red apple", seed: 7, width: side, height: side, steps: 4, decodePasses: 1 });
      latents[device] = Array.from(latent.data);
      await engine.dispose();
    }
    return { shaders, ...latents };
  }, side);
  const likeness = cosine(cpu, webgpu);
  t.diagnostic(`${shaders} shaders in half precision, cosine of the latents: ${likeness}`);
  assert.ok(shaders > 0);
  assert.ok(likeness > 0.9999);
});

test("the same seed gives the same picture, another seed another, each as large as the model makes them", async (t) => {
  const page = await open(t);
  const { defaults, sizes, pixels } = await page.evaluate(async () => {
    const engine = await glassine.createEngine({ model: "mini" });
    const made = [];
    for (const seed of [1, 1, 2]) made.push((await engine.generate({ prompt: "a red apple", seed, steps: 1, decodePasses: 1 })).layers[0]);
    return {
      defaults: engine.info.defaults,
      sizes: made.map(({ width, height }) => [width, height]),
      pixels: made.map(({ imageData }) => Array.from(imageData.data)),
    };
  });
  const [first, again, other] = pixels;
  assert.deepEqual(again, first);
  assert.notDeepEqual(other, first);
  for (const size of sizes) assert.deepEqual(size, [defaults.width, defaults.height]);
});

test("a latent can be decoded again", async (t) => {
  const page = await open(t);
  const { first, again } = await page.evaluate(async () => {
    const engine = await glassine.createEngine({ model: "mini" });
    const { layers, latent } = await engine.generate({ prompt: "a red apple", seed: 3, steps: 1, decodePasses: 1 });
    const layer = await engine.decode(latent, { passes: 1 });
    return { first: Array.from(layers[0].imageData.data), again: Array.from(layer.imageData.data) };
  });
  assert.deepEqual(again, first);
});

test("requests made at once run one after the other", async (t) => {
  const page = await open(t);
  const order = await page.evaluate(async () => {
    const engine = await glassine.createEngine({ model: "mini" });
    const order = [];
    const request = (seed) =>
      engine.generate({
        prompt: "a red apple",
        seed,
        steps: 1,
        decodePasses: 1,
        onProgress: ({ phase }) => order.push(`${seed} ${phase}`),
      });
    await Promise.all([request(1), request(2)]);
    return order;
  });
  const seeds = order.map((entry) => entry[0]);
  assert.deepEqual(seeds, [...seeds].sort());
  assert.ok(order.includes("1 decoding") && order.includes("2 decoding"));
});
