// What the browser offers decides where the engine runs.

import assert from "node:assert/strict";
import { test } from "node:test";
import { open } from "../lib/open.js";

test("without WebGPU, asking for it is refused and auto takes the CPU", async (t) => {
  const page = await open(t, { gpu: "none" });
  const { support, refused, device } = await page.evaluate(async () => {
    const refused = await failureOf(glassine.createEngine({ model: "mini", device: "webgpu" }));
    const engine = await glassine.createEngine({ model: "mini" });
    return { support: await glassine.checkSupport(), refused, device: engine.info.device };
  });
  assert.equal(refused.code, "device_unavailable");
  assert.ok(refused.hint.length > 0);
  assert.equal(device, "cpu");
  assert.deepEqual(
    { ok: support.ok, webgpu: support.webgpu, shaderF16: support.shaderF16, recommended: support.recommended },
    { ok: true, webgpu: false, shaderF16: false, recommended: "cpu" },
  );
  assert.equal(support.reasons.length, 1);
});

test("a GPU that is emulated in software is found, but the CPU is recommended", async (t) => {
  const page = await open(t, { gpu: "software" });
  const support = await page.evaluate(() => glassine.checkSupport());
  assert.equal(support.webgpu, true);
  assert.ok(support.limits.maxStorageBufferBindingSize >= 128 * 2 ** 20);
  assert.equal(support.recommended, "cpu");
  assert.match(support.reasons.join(), /software/);
});
