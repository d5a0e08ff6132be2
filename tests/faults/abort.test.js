// Requests are aborted at random moments.

import assert from "node:assert/strict";
import { test } from "node:test";
import { open } from "../browser/lib/open.js";
import { PackServer } from "../browser/lib/pack.js";
import { assertSound, assertTidy, importPack, noWorkers } from "./lib/left.js";
import { randomOf, times } from "./lib/random.js";

test("a hundred requests, aborted at random moments from before they start to after they end", async (t) => {
  const { random } = randomOf(t);
  const page = await open(t);
  const takes = await page.evaluate(async () => {
    window.generate = (signal) => engine.generate({ prompt: "a red apple", seed: 1, steps: 2, mode: "opaque", signal });
    window.pixels = async () => [...(await generate()).layers[0].imageData.data].join();
    window.engine = await glassine.createEngine({ model: "mini", device: "cpu" });
    window.expected = await pixels();
    const start = performance.now();
    await generate();
    return performance.now() - start;
  });
  const delays = Array.from({ length: times(100) }, () => random() * 1.2 * takes);
  const counts = await page.evaluate(async (delays) => {
    const counts = {};
    for (const delay of delays) {
      const controller = new AbortController();
      const request = failureOf(generate(controller.signal));
      const timer = setTimeout(() => controller.abort(), delay);
      const { code } = await request;
      clearTimeout(timer);
      counts[code] = (counts[code] ?? 0) + 1;
    }
    return counts;
  }, delays);
  t.diagnostic(`${delays.length} requests of ${Math.round(takes)} ms: ${JSON.stringify(counts)}`);
  assert.equal((counts.aborted ?? 0) + (counts.none ?? 0), delays.length);
  assert.ok(counts.aborted > 0);
  assert.ok(await page.evaluate(async () => (await pixels()) === expected), "the next one is as it was before");
  assert.equal(page.workers().length, 1);
});

test("engines whose loading is aborted at random moments leave no worker", async (t) => {
  const { random } = randomOf(t);
  const page = await open(t);
  const load = (delay) =>
    page.evaluate(async (delay) => {
      const start = performance.now();
      const signal = delay === undefined ? undefined : AbortSignal.timeout(delay);
      const failure = await failureOf(glassine.createEngine({ model: "mini", device: "cpu", signal }).then((engine) => engine.dispose()));
      return { ...failure, ms: performance.now() - start };
    }, delay);
  const { ms } = await load();
  for (let time = 0; time < times(15); time++) {
    const { code, message } = await load(Math.floor(random() * ms));
    assert.ok(["aborted", "none"].includes(code), message);
    await noWorkers(page);
  }
  t.diagnostic(`${times(15)} engines, aborted within ${Math.round(ms)} ms`);
});

test("imports that are aborted at random moments leave what is sound, and the next one completes it", async (t) => {
  const { random } = randomOf(t);
  const pack = new PackServer();
  const page = await open(t, { pack });
  const start = performance.now();
  await importPack(page);
  const takes = performance.now() - start;
  for (let time = 0; time < times(8); time++) {
    // Each second one replaces the model before.
    if (time % 2) pack.changeShard("shard-00002.safetensors");
    else await page.evaluate(() => models.remove("apple"));
    const code = await page.evaluate(
      async (delay) => (await failureOf(models.import("/pack/", { name: "apple", signal: AbortSignal.timeout(delay) }))).code,
      Math.floor(random() * takes),
    );
    assert.ok(["aborted", "none"].includes(code), code);
    const [model] = await assertSound(page);
    if (time % 2) assert.equal(model.complete, true, "the model before is there");
    assert.equal(await importPack(page), "none");
    await assertTidy(page);
    await noWorkers(page);
  }
  t.diagnostic(`${times(8)} imports, aborted within ${Math.round(takes)} ms`);
});
