// Two tabs do everything at once.

import assert from "node:assert/strict";
import { test } from "node:test";
import { open, openTab } from "../browser/lib/open.js";
import { PackServer, send } from "../browser/lib/pack.js";
import { assertTidy, importPack } from "./lib/left.js";
import { randomOf, times } from "./lib/random.js";

const second = "shard-00002.safetensors";

/** What a tab may do with the model, and how it may fail while the other does the same. */
const doings = {
  // What the pack's server has can be another version before all of one has arrived.
  import: ["none", "model_damaged"],
  aborted: ["none", "aborted", "model_damaged"],
  remove: ["none"],
  verify: ["none", "model_not_found"],
  repair: ["none", "model_not_found"],
  list: ["none"],
  // One that has just been removed has no URL either.
  load: ["none", "model_not_found"],
  // Its model can be replaced ("io") or removed between two pictures.
  generate: ["none", "io", "model_not_found"],
};

const begin = (page) =>
  page.evaluate(async () => {
    window.engine = await glassine.createEngine({ model: "apple", device: "cpu", memoryLimit: 0 });
    const doings = {
      import: () => models.import("/pack/", { name: "apple" }),
      aborted: () => models.import("/pack/", { name: "apple", signal: AbortSignal.timeout(50) }),
      remove: () => models.remove("apple"),
      verify: () => models.verify("apple"),
      repair: () => models.verify("apple", { repair: true }),
      list: () => models.list(),
      load: () => glassine.createEngine({ model: "apple", device: "cpu" }).then((engine) => engine.dispose()),
      generate: () => engine.generate({ prompt: "a red apple", seed: 1, steps: 1, mode: "opaque" }),
    };
    window.run = async (name) => (await failureOf(doings[name]())).code;
  });

test("two tabs do everything at once, at random", async (t) => {
  const { oneOf } = randomOf(t);
  const pack = new PackServer();
  const page = await open(t, { pack });
  await importPack(page);
  const tabs = [page, await openTab(t, page.browser(), page.url())];
  for (const tab of tabs) await begin(tab);
  const counts = {};
  const one = async (tab) => {
    for (let time = 0; time < times(15); time++) {
      const name = oneOf(Object.keys(doings));
      if (name === "import") pack.changeShard(second);
      const code = await tab.evaluate((name) => run(name), name);
      assert.ok(doings[name].includes(code), `${name}: ${code}`);
      counts[name] = (counts[name] ?? 0) + 1;
    }
  };
  await Promise.all(tabs.map(one));
  t.diagnostic(`${JSON.stringify(counts)} in two tabs`);

  assert.equal(await importPack(page), "none");
  await assertTidy(page);
  for (const tab of tabs) {
    await tab.evaluate(() => run("generate"));
    assert.equal(await tab.evaluate(() => run("generate")), "none", "an engine takes up the model that is there");
  }
});

test("two tabs import, remove and replace one model at the same moment", async (t) => {
  const pack = new PackServer();
  const page = await open(t, { pack });
  const tabs = [page, await openTab(t, page.browser(), page.url())];
  await importPack(page);
  for (const tab of tabs) await begin(tab);
  const pairs = [
    ["import", "import"],
    ["import", "remove"],
    ["remove", "remove"],
    ["generate", "remove"],
    ["generate", "import"],
    ["load", "remove"],
    ["load", "import"],
    ["verify", "remove"],
    ["repair", "import"],
  ];
  let count = 0;
  for (let time = 0; time < times(1); time++) {
    for (const pair of pairs) {
      pack.changeShard(second);
      const codes = await Promise.all(pair.map((name, index) => tabs[index].evaluate((name) => run(name), name)));
      codes.forEach((code, index) => assert.ok(doings[pair[index]].includes(code), `${pair}: ${codes}`));
      assert.equal(await importPack(page), "none");
      await assertTidy(page);
      count += 1;
    }
  }
  t.diagnostic(`${count} pairs`);
});

/** Starts an import that the server does not end before `go` is called. */
async function startImport(page, pack) {
  let held;
  const asked = new Promise((resolve) => {
    pack.faults.set(second, async (response, bytes) => {
      await new Promise((go) => {
        held = go;
        resolve();
      });
      pack.faults.clear();
      send(response, bytes);
    });
  });
  await page.evaluate(() => (window.importing = failureOf(models.import("/pack/", { name: "apple" }))) && undefined);
  await asked;
  return () => held();
}

test("of two tabs that import a model, the second waits and finds it complete", async (t) => {
  const pack = new PackServer();
  const page = await open(t, { pack });
  const other = await openTab(t, page.browser(), page.url());
  const go = await startImport(page, pack);
  await other.evaluate(() => {
    window.phases = [];
    window.importing = failureOf(
      models.import("/pack/", { name: "apple", onProgress: ({ phase }) => phases.push(phase) }),
    );
  });
  await other.waitForFunction(() => phases.includes("waiting"));
  go();
  for (const tab of [page, other]) assert.equal((await tab.evaluate(() => importing)).code, "none");
  assert.equal(pack.requests.filter(({ name }) => name !== "manifest.json").length, pack.manifest.shards.length, "each shard is fetched once");
  await assertTidy(other);
});

test("an import succeeds though another tab removes the model as soon as it is stored", async (t) => {
  const pack = new PackServer();
  const page = await open(t, { pack });
  const other = await openTab(t, page.browser(), page.url());
  for (let time = 0; time < times(5); time++) {
    const go = await startImport(page, pack);
    await other.evaluate(() => (window.removing = models.remove("apple")) && undefined);
    await other.waitForFunction(async () => (await navigator.locks.query()).pending.length === 1);
    go();
    assert.equal((await page.evaluate(() => importing)).code, "none");
    assert.equal(await other.evaluate(() => removing), true);
  }
});

test("loading and removing in one tab wait for an import in another", async (t) => {
  const pack = new PackServer();
  const page = await open(t, { pack });
  await page.evaluate(() => models.import("/pack/", { name: "apple" }));
  pack.changeShard(second);
  const other = await openTab(t, page.browser(), page.url());
  const go = await startImport(page, pack);
  await other.evaluate(() => {
    window.order = [];
    window.loading = glassine
      .createEngine({ model: "apple", device: "cpu", onProgress: () => order.push("loading") })
      .then(() => order.push("loaded"));
  });
  const waiting = (count) =>
    other.waitForFunction(async (count) => (await navigator.locks.query()).pending.length === count, {}, count);
  await waiting(1);
  await other.evaluate(() => {
    window.removing = models.remove("apple").then(() => order.push("removed"));
    window.controller = new AbortController();
    window.stopping = failureOf(models.remove("apple", { signal: controller.signal }));
  });
  await waiting(3);
  const stopped = await other.evaluate(() => {
    controller.abort();
    return stopping;
  });
  assert.equal(stopped.code, "aborted");
  assert.deepEqual(await other.evaluate(() => order), []);
  go();
  assert.equal((await page.evaluate(() => importing)).code, "none");
  const order = await other.evaluate(() => Promise.all([loading, removing]).then(() => order));
  assert.deepEqual([...new Set(order)], ["loading", "loaded", "removed"]);
});
