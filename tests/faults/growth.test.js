// Many pictures and many engines: neither memory nor workers grow.

import assert from "node:assert/strict";
import { test } from "node:test";
import { open } from "../browser/lib/open.js";
import { noWorkers } from "./lib/left.js";
import { times } from "./lib/random.js";

/** The bytes that JavaScript has in a page and its workers once garbage is collected. */
async function heapBytes(page) {
  let bytes = 0;
  for (const target of [page, ...page.workers()]) {
    const client = target === page ? await page.createCDPSession() : target.client;
    await client.send("HeapProfiler.enable");
    await client.send("HeapProfiler.collectGarbage");
    bytes += (await client.send("Runtime.getHeapUsage")).usedSize;
  }
  return bytes;
}

/** What the engine's module has taken of memory, which it never gives back. */
const moduleBytes = (page) => page.workers()[0].evaluate(() => memoryBytes());

test("sixty pictures", async (t) => {
  const page = await open(t, { before: ["module-memory"] });
  await page.evaluate(async () => (window.engine = await glassine.createEngine({ model: "mini", device: "cpu" })));
  const generate = (count) =>
    page.evaluate(async (count) => {
      for (let seed = 0; seed < count; seed++) await engine.generate({ prompt: "a red apple", seed, steps: 1, decodePasses: 1 });
    }, count);
  await generate(5);
  const [heap, module] = [await heapBytes(page), await moduleBytes(page)];
  await generate(times(60));
  const [heapAfter, moduleAfter] = [await heapBytes(page), await moduleBytes(page)];
  t.diagnostic(`after 5 and ${times(60)} more: JavaScript ${heap} and ${heapAfter} bytes, the module ${module} and ${moduleAfter}`);
  assert.ok(heapAfter - heap < 1e6, "JavaScript's heap");
  assert.ok(moduleAfter - module < 1e6, "the module's memory");
  assert.equal(page.workers().length, 1);
});

test("twenty engines", async (t) => {
  const page = await open(t);
  const make = (count) =>
    page.evaluate(async (count) => {
      for (let time = 0; time < count; time++) {
        const engine = await glassine.createEngine({ model: "mini", device: "cpu" });
        await engine.generate({ prompt: "a red apple", steps: 1, mode: "opaque" });
        await engine.dispose();
      }
    }, count);
  await make(2);
  await noWorkers(page);
  const heap = await heapBytes(page);
  await make(times(20));
  await noWorkers(page);
  const heapAfter = await heapBytes(page);
  t.diagnostic(`after 2 and ${times(20)} more: JavaScript ${heap} and ${heapAfter} bytes`);
  assert.ok(heapAfter - heap < 1e6, "JavaScript's heap");
});
