// A prompt becomes a layer, on either device.

import assert from "node:assert/strict";
import { test } from "node:test";
import { open } from "../lib/open.js";
import { cosine } from "../lib/page.js";

/** Runs in the page. */
async function generate(device) {
  const engine = await glassine.createEngine({ model: "mini", device });
  const { layers, latent, timings } = await engine.generate({ prompt: "a red apple", seed: 7, steps: 2, decodePasses: 1 });
  const [layer] = layers;
  const blob = await layer.toBlob();
  const bitmap = await layer.toImageBitmap();
  await engine.dispose();
  return {
    device: engine.info.device,
    defaults: engine.info.defaults,
    layers: layers.map(({ role, seed, width, height }) => ({ role, seed, width, height })),
    pixels: layer.imageData.data.length,
    blob: { type: blob.type, size: blob.size },
    bitmap: [bitmap.width, bitmap.height],
    latent: { ...latent, data: Array.from(latent.data) },
    timings,
  };
}

function check(result, device) {
  const { width, height } = result.defaults;
  assert.equal(result.device, device);
  assert.deepEqual(result.layers, [{ role: "foreground", seed: 7, width, height }]);
  assert.equal(result.pixels, width * height * 4);
  assert.equal(result.blob.type, "image/png");
  assert.ok(result.blob.size > 100);
  assert.deepEqual(result.bitmap, [width, height]);
  assert.equal(result.latent.data.length, result.latent.frames * 4 * result.latent.width * result.latent.height);
  assert.ok(result.latent.data.every(Number.isFinite));
  assert.ok(Object.values(result.timings).every((ms) => ms >= 0));
}

test("the CPU and WebGPU each make a layer, and from the same seed the same latent", async (t) => {
  const page = await open(t, { gpu: "software" });
  const cpu = await page.evaluate(generate, "cpu");
  check(cpu, "cpu");
  const gpu = await page.evaluate(generate, "webgpu");
  check(gpu, "webgpu");
  const likeness = cosine(cpu.latent.data, gpu.latent.data);
  t.diagnostic(`cosine of the latents: ${likeness}`);
  assert.ok(likeness > 0.999);
});

test("the same seed gives the same picture, another seed another", async (t) => {
  const page = await open(t);
  const [first, again, other] = await page.evaluate(async () => {
    const engine = await glassine.createEngine({ model: "mini" });
    const pixels = async (seed) => {
      const { layers } = await engine.generate({ prompt: "a red apple", seed, steps: 1, decodePasses: 1 });
      return Array.from(layers[0].imageData.data);
    };
    return [await pixels(1), await pixels(1), await pixels(2)];
  });
  assert.deepEqual(again, first);
  assert.notDeepEqual(other, first);
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
