// The engine stops for good while it packs a checkpoint: nothing is left in storage, and what was there stays.

import assert from "node:assert/strict";
import { test } from "node:test";
import { open } from "../browser/lib/open.js";
import { checkpointFolder, giveFiles } from "./lib/files.js";
import { randomOf, times } from "./lib/random.js";
import { assertTidy, removeAll } from "./lib/left.js";

async function openToPack(t, before) {
  const { folder, paths } = checkpointFolder(t);
  const page = await open(t, { pack: folder, before });
  await giveFiles(page, paths);
  await page.evaluate(() => {
    window.calls = 0;
    window.wasm = new BroadcastChannel("wasm");
    wasm.onmessage = ({ data }) => (window.calls = data);
  });
  return page;
}

/** Packs; gives the failure, and how often the module called JavaScript. */
const pack = (page, quantize = "q4") =>
  page.evaluate(async (quantize) => {
    const failure = await failureOf(packing({ quantize }));
    return { ...failure, calls };
  }, quantize);

test("a panic at random moments of packing", async (t) => {
  const { below } = randomOf(t);
  const before = ["wasm-faults"];
  const page = await openToPack(t, before);
  const { code, calls } = await pack(page);
  assert.equal(code, "none");
  const moments = Array.from({ length: times(3) }, () => 1 + below(calls));
  for (const trap of moments) {
    before[0] = `wasm-faults?trap=${trap}`;
    const { code, message } = await pack(page, "q8");
    assert.equal(code, "internal", `${trap} of ${calls}: ${message}`);
    assert.equal((await assertTidy(page)).length, 1, `${trap} of ${calls}`);
  }
  await removeAll(page);
  for (const trap of moments) {
    before[0] = `wasm-faults?trap=${trap}`;
    assert.equal((await pack(page)).code, "internal", `${trap} of ${calls}`);
    assert.deepEqual(await assertTidy(page), [], `${trap} of ${calls}`);
  }
  t.diagnostic(`${moments.length} panics each way, in the calls ${moments} of ${calls}`);
});

test("a heap that is full while packing", async (t) => {
  const { below } = randomOf(t);
  const before = ["wasm-faults?pages=0"];
  const page = await openToPack(t, before);
  const codes = [];
  for (let time = 0; time < times(3); time++) {
    before[0] = `wasm-faults?pages=${below(120)}`;
    const { code, message } = await pack(page);
    codes.push(code);
    assert.ok(["internal", "out_of_memory"].includes(code), `${before[0]}: ${message}`);
    assert.deepEqual(await assertTidy(page), [], before[0]);
  }
  before[0] = "wasm-faults";
  assert.equal((await pack(page)).code, "none");
  await assertTidy(page);
  t.diagnostic(`full ${codes.length} times: ${codes}`);
});
