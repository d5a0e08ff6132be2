// The engine asks no more of a GPU than WebGPU promises of every one.

import assert from "node:assert/strict";
import { test } from "node:test";
import { open } from "../lib/open.js";
import { cosine, memoryUse } from "../lib/page.js";

test("where a GPU has more than WebGPU's default limits, the engine asks for it", async (t) => {
  const page = await open(t, { gpu: "software", before: ["memory"] });
  await page.evaluate(async () => (window.engine = await glassine.createEngine({ model: "mini", device: "webgpu" })));
  assert.ok((await memoryUse(page)).device.limits.maxStorageBufferBindingSize > 128 * 2 ** 20);
});

test("with WebGPU's default limits and no optional feature, the picture is the CPU's", async (t) => {
  const page = await open(t, { gpu: "software", before: ["memory", "default-limits"] });
  const { cpu, latent, gpuMemory } = await page.evaluate(async () => {
    const size = { width: 64, height: 64 };
    const { gpuMemory } = await models.estimate("/glassine/models/mini/", size);
    const generate = async (device) => {
      window.engine = await glassine.createEngine({ model: "mini", device });
      const { latent } = await engine.generate({ prompt: "a red apple", seed: 7, steps: 2, decodePasses: 1, ...size });
      return Array.from(latent.data);
    };
    const cpu = await generate("cpu");
    await engine.dispose();
    return { cpu, latent: await generate("webgpu"), gpuMemory };
  });
  const memory = await memoryUse(page);

  const { limits, features } = memory.device;
  assert.deepEqual(features, ["core-features-and-limits"]);
  assert.equal(limits.maxStorageBufferBindingSize, 128 * 2 ** 20);
  assert.equal(limits.maxStorageBuffersPerShaderStage, 8);
  assert.equal(limits.maxComputeInvocationsPerWorkgroup, 256);
  assert.equal(limits.maxComputeWorkgroupStorageSize, 16 * 2 ** 10);

  const likeness = cosine(cpu, latent);
  t.diagnostic(`cosine of the latents: ${likeness}`);
  assert.ok(likeness > 0.999);

  for (const [phase, { gpuPeakBytes, gpuBytes }] of Object.entries(memory.phases)) {
    t.diagnostic(`${phase}: ${gpuPeakBytes} bytes on the GPU at most, ${gpuBytes} at the end`);
  }
  const { created, destroyed, collected, textures } = memory.gpu;
  t.diagnostic(`${created} buffers, ${destroyed} destroyed and ${collected} collected`);
  t.diagnostic(`largest buffer ${memory.largest.buffer}, largest binding ${memory.largest.binding}`);
  assert.equal(textures, 0, "only buffers are counted");
  assert.ok(destroyed > 0, "between its stages the engine gives memory back");
  assert.ok(memory.phases.denoising.gpuPeakBytes > 0);

  // What models.estimate says holds, and is not a multiple of the truth.
  t.diagnostic(`${gpuMemory.allLoaded} bytes were foretold, and ${memory.gpu.peakBytes} were used`);
  assert.ok(memory.gpu.peakBytes <= gpuMemory.allLoaded);
  assert.ok(memory.gpu.peakBytes >= gpuMemory.allLoaded / 4);
});
