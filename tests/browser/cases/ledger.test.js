// What Stable Diffusion 1.5 asks of a GPU, counted where nothing is computed: the counts are exact on any machine.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { packFullSize } from "../lib/full-size.js";
import { scratch } from "../lib/native.js";
import { open } from "../lib/open.js";
import { ledger, memoryUse } from "../lib/page.js";

const pack = packFullSize(scratch({ after }));

/** Opens a page with an engine that uses so much memory. */
async function openEngine(t, memoryLimit, before) {
  const page = await open(t, { gpu: "software", pack, before: ["idle", ...before] });
  await page.evaluate(async (memoryLimit) => {
    window.engine = await glassine.createEngine({ model: "/pack/", device: "webgpu", memoryLimit });
  }, memoryLimit);
  return page;
}

// Engines take long to load: one with all networks, whose shaders need not be compiled to be counted, and one that loads one at a
// time, within the limits that every device has.
const file = { after, diagnostic: console.log };
const page = await openEngine(file, 8e9, ["empty-shaders", "memory", "ledger"]);
const frugal = await openEngine(file, 0, ["memory", "default-limits"]);

const generate = (page, options) =>
  page.evaluate(async (options) => void (await engine.generate({ prompt: "a red apple", seed: 0, ...options })), options);

/** What a picture of 512 x 512 takes, beside what only the first one does. */
async function counted(page, options) {
  const size = { width: 512, height: 512 };
  await generate(page, { ...size, ...options });
  const before = await ledger(page);
  await generate(page, { ...size, ...options });
  return difference(await ledger(page), before);
}

const difference = (a, b) => Object.fromEntries(Object.keys(a).map((name) => [name, a[name] - b[name]]));

function check(t, { dispatches, workgroups, bytes, submissions }, most) {
  t.diagnostic(`${dispatches} dispatches, ${workgroups} workgroups, ${bytes} bytes bound, ${submissions} submissions`);
  assert.ok(dispatches <= most.dispatches, `${dispatches} dispatches`);
  assert.ok(bytes <= most.bytes, `${bytes} bytes bound`);
  assert.ok(submissions <= most.submissions, `${submissions} submissions`);
}

test("the memory for a picture of 512 x 512 with all networks loaded", (t) => checkMemory(t, page, 1.25e9));

test("the memory for a picture of 512 x 512 with one network loaded at a time", (t) => checkMemory(t, frugal, 0.95e9));

/** What the engine has had at most, a picture of 512 x 512 included. */
async function checkMemory(t, page, most) {
  await generate(page, { width: 512, height: 512, mode: "single", steps: 1, decodePasses: 1 });
  const { gpu } = await memoryUse(page);
  t.diagnostic(`${gpu.peakBytes} bytes`);
  assert.ok(gpu.peakBytes <= most, `${gpu.peakBytes} bytes`);
}

test("a step with guidance is one UNet evaluation of two rows", async (t) => {
  const [two, three] = [await counted(page, { mode: "opaque", steps: 2 }), await counted(page, { mode: "opaque", steps: 3 })];
  check(t, difference(three, two), { dispatches: 500, bytes: 7e9, submissions: 8 });
});

test("a picture of one step, and the passes of the transparency decoder", async (t) => {
  const picture = await counted(page, { mode: "opaque", steps: 1, sampler: "euler" });
  check(t, picture, { dispatches: 1300, bytes: 28e9, submissions: 20 });
  const passes = [];
  for (const decodePasses of [1, 8]) passes.push(await counted(page, { mode: "single", steps: 1, decodePasses }));
  check(t, difference(passes[1], passes[0]), { dispatches: 7 * 540, bytes: 7 * 6.5e9, submissions: 7 * 7 });
});

test("a picture of 1024 x 1024 stays within WebGPU's default limits", async () => {
  await generate(frugal, { width: 1024, height: 1024, mode: "single", steps: 1, decodePasses: 1 });
});
