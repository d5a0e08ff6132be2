// What Stable Diffusion 1.5 asks of a GPU at 512 x 512: counted where nothing is computed, so that the counts are
// exact on any machine.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { packFullSize } from "../lib/full-size.js";
import { scratch } from "../lib/native.js";
import { open } from "../lib/open.js";

const file = { after, diagnostic: console.log };
const page = await open(file, { gpu: "software", pack: packFullSize(scratch(file)), before: ["idle", "ledger"] });
await page.evaluate(async () => {
  window.engine = await glassine.createEngine({ model: "/pack/", device: "webgpu", memoryLimit: 8e9 });
});

/** What a request takes. Is called a second time so that nothing is counted that only the first request does. */
async function counted(options) {
  const generate = (options) => engine.generate({ prompt: "a red apple", seed: 0, width: 512, height: 512, ...options });
  await page.evaluate(generate, options);
  const before = await ledger();
  await page.evaluate(generate, options);
  return difference(await ledger(), before);
}

const ledger = () => page.workers().find((worker) => worker.url().includes("/worker/engine")).evaluate(() => ledger());

const difference = (a, b) => Object.fromEntries(Object.keys(a).map((name) => [name, a[name] - b[name]]));

/** What one unit more of something takes. */
async function oneMore(options, name, count) {
  return difference(await counted({ ...options, [name]: count + 1 }), await counted({ ...options, [name]: count }));
}

test("a step with guidance, a UNet evaluation of two rows", async (t) => {
  const step = await oneMore({ mode: "opaque", decodePasses: 1 }, "steps", 2);
  t.diagnostic(JSON.stringify(step));
  assert.ok(step.dispatches <= 500, `${step.dispatches} dispatches`);
  assert.ok(step.bytes <= 7e9, `${step.bytes} bytes bound`);
});

test("the VAE's decoder", async (t) => {
  const decode = await counted({ mode: "opaque", steps: 1 });
  t.diagnostic(JSON.stringify(decode));
});

test("a pass of the transparency decoder", async (t) => {
  const pass = await oneMore({ mode: "opaque", steps: 1 }, "decodePasses", 1);
  t.diagnostic(JSON.stringify(pass));
});
