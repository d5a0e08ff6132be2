// A tab is killed at a random moment of an import, of packing, and of generating. In the next tab, what is stored is
// sound, and an import goes on or begins again.

import assert from "node:assert/strict";
import { test } from "node:test";
import { launch } from "../browser/lib/chromium.js";
import { open, openTab } from "../browser/lib/open.js";
import { PackServer } from "../browser/lib/pack.js";
import { serveTests } from "../browser/lib/site.js";
import { checkpointFolder, giveFiles } from "./lib/files.js";
import { kill } from "./lib/kill.js";
import { randomOf, times } from "./lib/random.js";
import { assertSound, assertTidy, importPack, removeAll } from "./lib/left.js";

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Does `work` in a tab, and gives how long it took. */
async function timed(work) {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

test("a tab killed while importing", async (t) => {
  const { random } = randomOf(t);
  const pack = new PackServer();
  const page = await open(t, { pack });
  const takes = await timed(() => importPack(page));
  await removeAll(page);
  const found = { nothing: 0, unfinished: 0, complete: 0 };
  for (let time = 0; time < times(5); time++) {
    const tab = await openTab(t, page.browser(), page.url());
    await tab.evaluate(() => void models.import("/pack/", { name: "apple" }));
    await sleep(random() * takes);
    await kill(tab);

    const [model] = await assertSound(page);
    found[model ? (model.complete ? "complete" : "unfinished") : "nothing"] += 1;
    if (model && !model.complete && model.origin) assert.equal(model.origin, `${page.url()}pack/`);
    pack.requests.length = 0;
    assert.equal(await importPack(page), "none");
    if (model?.complete) assert.deepEqual(pack.shardsAskedFor, []);
    await assertTidy(page);
    await removeAll(page);
  }
  t.diagnostic(`${times(5)} tabs killed within ${Math.round(takes)} ms: ${JSON.stringify(found)}`);
});

test("a tab killed while a model is replaced: the one before is whole, or the new one is", async (t) => {
  const { random } = randomOf(t);
  const pack = new PackServer();
  const page = await open(t, { pack });
  await importPack(page);
  pack.changeShard("shard-00002.safetensors");
  const takes = await timed(() => importPack(page));
  for (let time = 0; time < times(5); time++) {
    pack.changeShard("shard-00002.safetensors");
    const tab = await openTab(t, page.browser(), page.url());
    await tab.evaluate(() => void models.import("/pack/", { name: "apple" }));
    await sleep(random() * takes);
    await kill(tab);

    const [model] = await assertSound(page);
    assert.equal(model.complete, true);
    assert.equal(await importPack(page), "none");
    await assertTidy(page);
  }
  t.diagnostic(`${times(5)} tabs killed within ${Math.round(takes)} ms`);
});

test("a tab killed while packing", async (t) => {
  const { random } = randomOf(t);
  const { folder, paths } = checkpointFolder(t);
  const page = await open(t, { pack: folder });
  await giveFiles(page, paths);
  const pack = () => page.evaluate(async () => (await failureOf(packing({ quantize: "q4" }))).code);
  const takes = await timed(pack);
  await removeAll(page);
  let unfinished = 0;
  for (let time = 0; time < times(3); time++) {
    const tab = await openTab(t, page.browser(), page.url());
    await giveFiles(tab, paths);
    await tab.evaluate(() => void packing({ quantize: "q8" }));
    await sleep(random() * takes);
    await kill(tab);

    const [model] = await assertSound(page);
    if (model && !model.complete) unfinished += 1;
    assert.equal(await pack(), "none");
    await assertTidy(page);
    await removeAll(page);
  }
  t.diagnostic(`${times(3)} tabs killed within ${Math.round(takes)} ms, ${unfinished} in the middle`);
});

test("a tab killed while generating", async (t) => {
  const { random } = randomOf(t);
  const pack = new PackServer();
  const page = await open(t, { pack });
  await importPack(page);
  const generate = async () => {
    const engine = await glassine.createEngine({ model: "apple", device: "cpu" });
    const { layers } = await engine.generate({ prompt: "a red apple", steps: 4, decodePasses: 1 });
    await engine.dispose();
    return layers.length;
  };
  const takes = await timed(() => page.evaluate(generate));
  for (let time = 0; time < times(3); time++) {
    const tab = await openTab(t, page.browser(), page.url());
    tab.evaluate(generate).catch(() => {});
    await sleep(random() * takes);
    await kill(tab);
    assert.equal((await assertTidy(page)).length, 1);
  }
  assert.equal(await page.evaluate(generate), 1);
  t.diagnostic(`${times(3)} tabs killed within ${Math.round(takes)} ms`);
});

test("a model that is stored is there when the browser was killed the moment after", async (t) => {
  const pack = new PackServer();
  const site = await serveTests(pack);
  const killed = await launch("none");
  let page = await openTab(t, killed.browser, site.url);
  await page.evaluate(() => models.import("/pack/", { name: "apple" }));
  const gone = new Promise((resolve) => killed.browser.once("disconnected", resolve));
  killed.browser.process().kill("SIGKILL");
  await gone;

  const { browser, close } = await launch("none", killed.profile);
  t.after(async () => {
    await close();
    await site.close();
  });
  page = await openTab(t, browser, site.url);
  assert.equal((await assertTidy(page)).length, 1);
});
