// A pack is imported by URL into the browser's storage.

import assert from "node:assert/strict";
import { test } from "node:test";
import { assertMonotone, first, importPack, last, listed, shards } from "../lib/importing.js";
import { open, openTab } from "../lib/open.js";
import { hangUp, PackServer, send, stall } from "../lib/pack.js";

test("an imported pack is whole, and its engine needs no server", async (t) => {
  const pack = new PackServer();
  const page = await open(t, { pack });
  const { failure, events } = await importPack(page);
  assert.equal(failure.code, "none", failure.message);

  const loaded = assertMonotone(events, "downloading", "loadedBytes");
  assert.equal(loaded[0], 0);
  assert.equal(loaded.at(-1), pack.bytes);
  assert.ok(loaded.length > 2 * pack.manifest.shards.length, "it is counted finer than by shards");
  assert.ok(events.every(({ totalBytes }) => totalBytes === pack.bytes));
  assert.equal(pack.requests.length, 1 + shards.length, "each file is fetched once");

  const [model] = await listed(page);
  const whole = pack.bytes + JSON.stringify(pack.manifest).length;
  assert.ok(model.bytes > pack.bytes && model.bytes < whole + 100_000, `${model.bytes} bytes are stored`);
  assert.deepEqual({ ...model, bytes: 0 }, { name: "apple", bytes: 0, builtIn: false, complete: true, origin: `${page.url()}pack/` });

  pack.faults.set("*", hangUp);
  const info = await page.evaluate(async () => {
    const stored = await glassine.createEngine({ model: "apple", device: "cpu" });
    const builtIn = await glassine.createEngine({ model: "mini", device: "cpu" });
    const { layers } = await stored.generate({ prompt: "a red apple", steps: 1, decodePasses: 1 });
    return { same: stored.info.sha256 === builtIn.info.sha256, layers: layers.length };
  });
  assert.deepEqual(info, { same: true, layers: 1 });
});

test("shards that are equal are fetched and stored once", async (t) => {
  const pack = new PackServer();
  pack.repeatShard(6);
  const page = await open(t, { pack });
  const { intact } = await page.evaluate(async () => {
    await models.import("/pack/", { name: "apple" });
    return models.verify("apple");
  });
  assert.ok(intact);
  assert.equal(pack.shardsAskedFor.length, shards.length);
});

test("without a name, a model has that of its pack, if nobody else has it", async (t) => {
  const pack = new PackServer();
  const page = await open(t, { pack });
  const failures = await page.evaluate(async () => [
    await failureOf(models.import("/pack/")),
    await failureOf(models.import("/pack/", { name: "../mini" })),
    await failureOf(models.import("/pack/", { name: "apple", concurrency: 0 })),
  ]);
  assert.deepEqual(failures.map(({ code }) => code), ["bad_option", "bad_option", "bad_option"]);
  assert.match(failures[0].message, /mini/);
  assert.deepEqual(pack.shardsAskedFor, []);
});

test("an import whose page crashed goes on in the next page, with the missing shards alone", async (t) => {
  const pack = new PackServer();
  const page = await open(t, { pack });
  const stalled = new Promise((resolve) => pack.faults.set(last, stall(resolve)));
  await page.evaluate(() => {
    window.loaded = 0;
    models.import("/pack/", { name: "apple", onProgress: ({ loadedBytes }) => (window.loaded = loadedBytes) });
  });
  await stalled;
  const { bytes } = pack.manifest.shards.find(({ file }) => file === last);
  await page.waitForFunction((atLeast) => loaded > atLeast, {}, pack.bytes - bytes);
  const url = page.url();
  // The other shards have arrived; this waits until they are stored, too.
  await page.waitForFunction(
    async (atLeast) => (await models.list()).some((model) => model.name === "apple" && model.bytes > atLeast),
    { polling: 100 },
    pack.bytes - bytes,
  );
  const client = await page.createCDPSession();
  client.send("Page.crash").catch(() => {});
  await new Promise((resolve) => page.once("error", resolve));

  pack.faults.clear();
  pack.requests.length = 0;
  const next = await openTab(t, page.browser(), url);
  const [before] = await listed(next);
  assert.equal(before.complete, false);
  assert.equal(before.origin, `${url}pack/`);
  const unfinished = await next.evaluate(() => failureOf(glassine.createEngine({ model: "apple" })));
  assert.equal(unfinished.code, "model_not_found");
  assert.match(unfinished.hint, /import/i);

  const { failure, events } = await importPack(next);
  assert.equal(failure.code, "none", failure.message);
  assert.deepEqual(pack.shardsAskedFor, [last]);
  assert.equal(assertMonotone(events, "checking", "checkedBytes").at(-1), pack.bytes - bytes);
  assert.equal(assertMonotone(events, "downloading", "loadedBytes")[0], pack.bytes - bytes);
  assert.equal((await listed(next))[0].complete, true);
});

test("aborting leaves what is complete for the next import", async (t) => {
  const pack = new PackServer();
  const page = await open(t, { pack });
  pack.faults.set(last, stall());
  const before = pack.bytes - pack.manifest.shards.at(-1).bytes;
  const failures = await page.evaluate(async (before) => {
    const already = await failureOf(models.import("/pack/", { name: "apple", signal: AbortSignal.abort() }));
    const controller = new AbortController();
    const options = { name: "apple", concurrency: 1, signal: controller.signal };
    const onProgress = ({ loadedBytes }) => {
      if (loadedBytes > before) controller.abort(new Error("enough"));
    };
    return [already, await failureOf(models.import("/pack/", { ...options, onProgress }))];
  }, before);
  for (const failure of failures) assert.deepEqual([failure.code, failure.name], ["aborted", "AbortError"]);
  assert.match(failures[1].message, /enough/);

  pack.faults.clear();
  pack.requests.length = 0;
  assert.equal((await importPack(page)).failure.code, "none");
  assert.deepEqual(pack.shardsAskedFor, [last]);
});

/** The SHA-256 by which an engine knows the model "apple". */
const sha256Of = (page) =>
  page.evaluate(async () => {
    const engine = await glassine.createEngine({ model: "apple", device: "cpu" });
    await engine.dispose();
    return engine.info.sha256;
  });

const status = (code) => (response) => response.writeHead(code).end();

test("a new version replaces the old one, which works until the new one is whole", async (t) => {
  const pack = new PackServer();
  const page = await open(t, { pack });
  await importPack(page);
  const [before] = await listed(page);
  const old = await sha256Of(page);

  pack.changeShard(last);
  pack.faults.set(last, status(403));
  assert.equal((await importPack(page)).failure.code, "network");
  assert.equal(await sha256Of(page), old);

  pack.faults.clear();
  pack.requests.length = 0;
  assert.equal((await importPack(page)).failure.code, "none");
  assert.deepEqual(pack.shardsAskedFor, [last]);
  assert.notEqual(await sha256Of(page), old);
  const [after] = await listed(page);
  assert.ok(Math.abs(after.bytes - before.bytes) < 1000, "nothing is left of the old version");
});

async function setQuota(page, quotaSize) {
  const client = await page.createCDPSession();
  await client.send("Storage.overrideQuotaForOrigin", { origin: new URL(page.url()).origin, ...(quotaSize && { quotaSize }) });
}

test("a quota that is too small is refused before anything is fetched, with what is missing", async (t) => {
  const pack = new PackServer();
  const page = await open(t, { pack });
  await setQuota(page, 10e6);
  const { failure } = await importPack(page);
  assert.equal(failure.code, "quota_exceeded");
  assert.equal(failure.recoverable, true);
  t.diagnostic(failure.message);
  const missing = Number(/: (\d+) bytes are missing/.exec(failure.message)[1]);
  // Chromium grants less than the quota, in steps: here the largest power of two.
  assert.ok(missing >= pack.bytes - 10e6 && missing <= pack.bytes - 8e6);
  assert.deepEqual(pack.shardsAskedFor, []);

  await setQuota(page);
  assert.equal((await importPack(page)).failure.code, "none");
});

test("a quota that is used up in the middle keeps what is stored", async (t) => {
  const pack = new PackServer();
  const page = await open(t, { pack });
  pack.faults.set(first, async (response, bytes) => {
    await setQuota(page, 1e6);
    send(response, bytes);
  });
  const { failure } = await importPack(page, { concurrency: 1 });
  assert.equal(failure.code, "quota_exceeded", failure.message);

  await setQuota(page);
  pack.faults.clear();
  pack.requests.length = 0;
  assert.equal((await importPack(page)).failure.code, "none");
  assert.deepEqual(pack.shardsAskedFor, shards.slice(1));
});
