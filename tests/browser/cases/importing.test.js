// A pack is imported by URL into the browser's storage, whatever its server does.

import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { test } from "node:test";
import { open, openTab } from "../lib/open.js";
import { breakOff, hangUp, PackServer, send, sendPage, stall } from "../lib/pack.js";

const [small, first, second] = ["shard-00001.safetensors", "shard-00002.safetensors", "shard-00003.safetensors"];

/** Imports the pack into "apple" and gives what happened. */
function importPack(page, options = {}) {
  return page.evaluate(async (options) => {
    const events = [];
    const failure = await failureOf(
      models.import("/pack/", { name: "apple", ...options, onProgress: (event) => events.push(event) }),
    );
    return { failure, events };
  }, options);
}

const listed = (page) => page.evaluate(async () => (await models.list()).filter(({ builtIn }) => !builtIn));

function assertMonotone(events, phase, field) {
  const values = events.filter((event) => event.phase === phase).map((event) => event[field]);
  assert.ok(values.length > 0, `there is progress of ${phase}`);
  assert.deepEqual(values, [...new Set(values)].sort((a, b) => a - b), `${phase} goes on and never back`);
  return values;
}

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
  assert.equal(pack.requests.length, 4, "each file is fetched once");

  const [model] = await listed(page);
  assert.ok(model.bytes > pack.bytes && model.bytes < pack.bytes + 200_000, `${model.bytes} bytes are stored`);
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
  assert.equal(pack.shardsAskedFor.length, 3);
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
  const stalled = new Promise((resolve) => pack.faults.set(second, stall(resolve)));
  await page.evaluate((small) => {
    window.loaded = 0;
    models.import("/pack/", { name: "apple", onProgress: ({ loadedBytes }) => (window.loaded = loadedBytes) });
  });
  await stalled;
  const { bytes } = pack.manifest.shards.find(({ file }) => file === second);
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
  assert.deepEqual(pack.shardsAskedFor, [second]);
  assert.equal(assertMonotone(events, "checking", "checkedBytes").at(-1), pack.bytes - bytes);
  assert.equal(assertMonotone(events, "downloading", "loadedBytes")[0], pack.bytes - bytes);
  assert.equal((await listed(next))[0].complete, true);
});

test("aborting leaves what is complete for the next import", async (t) => {
  const pack = new PackServer();
  const page = await open(t, { pack });
  pack.faults.set(second, stall());
  const failures = await page.evaluate(async () => {
    const already = await failureOf(models.import("/pack/", { name: "apple", signal: AbortSignal.abort() }));
    const controller = new AbortController();
    const options = { name: "apple", concurrency: 1, signal: controller.signal };
    const onProgress = ({ loadedBytes, totalBytes }) => {
      if (loadedBytes > 0.6 * totalBytes) controller.abort(new Error("enough"));
    };
    return [already, await failureOf(models.import("/pack/", { ...options, onProgress }))];
  });
  for (const failure of failures) assert.deepEqual([failure.code, failure.name], ["aborted", "AbortError"]);
  assert.match(failures[1].message, /enough/);

  pack.faults.clear();
  pack.requests.length = 0;
  assert.equal((await importPack(page)).failure.code, "none");
  assert.deepEqual(pack.shardsAskedFor, [second]);
});

/**
 * Opens a page, and gives with it a fault: half of a file is sent, and the connection broken once the
 * worker has read so many bytes of shards since it started.
 */
async function openToBreakOff(t, pack) {
  const page = await open(t, { pack, before: ["reads"] });
  const reads = new EventEmitter();
  let read = 0;
  await page.exposeFunction("noteRead", (bytes) => {
    read = bytes;
    reads.emit("more");
  });
  await page.evaluate(() => {
    window.reads = new BroadcastChannel("reads");
    reads.onmessage = ({ data }) => noteRead(data);
  });
  const breakOffAfter = (bytes) => (response, file) => {
    const wait = async () => {
      while (read < bytes) await once(reads, "more");
      response.destroy();
    };
    stall(wait)(response, file);
  };
  return { page, breakOffAfter };
}

test("what may pass is tried again, from where it stopped if the server can", async (t) => {
  const pack = new PackServer();
  const { page, breakOffAfter } = await openToBreakOff(t, pack);
  const sizes = pack.manifest.shards.map(({ bytes }) => bytes);
  const half = sizes.map((bytes) => Math.floor(bytes / 2));
  const onFirst = (fault, then) => {
    let begun = false;
    return (...args) => (begun ? then(...args) : ((begun = true), fault(...args)));
  };
  const busy = (response) => response.writeHead(503).end();
  pack.faults.set(small, onFirst(busy, send));
  pack.faults.set(first, onFirst(breakOffAfter(sizes[0] + half[1]), send));
  // This server does not know ranges, and starts again.
  const startAgain = (response, bytes) => send(response, bytes);
  pack.faults.set(second, onFirst(breakOffAfter(sizes[0] + sizes[1] + half[2]), startAgain));

  const { failure, events } = await importPack(page, { concurrency: 1 });
  assert.equal(failure.code, "none", failure.message);
  assert.equal(assertMonotone(events, "downloading", "loadedBytes").at(-1), pack.bytes);
  assert.equal(pack.requests.filter(({ name }) => name === small).length, 2);
  for (const [name, bytes] of [[first, half[1]], [second, half[2]]]) {
    const ranges = pack.requests.filter((request) => request.name === name).map(({ range }) => range);
    assert.deepEqual(ranges, [undefined, `bytes=${bytes}-`]);
  }
});

test("a rest that does not belong to its beginning is thrown away", async (t) => {
  const pack = new PackServer();
  const { page, breakOffAfter } = await openToBreakOff(t, pack);
  const [before, bytes] = pack.manifest.shards.map(({ bytes }) => bytes);
  const half = Math.floor(bytes / 2);
  const other = (response, bytes, range) => send(response, Buffer.alloc(bytes.length), range);
  const all = (response, bytes) => response.writeHead(206, { "content-length": bytes.length }).end(bytes);
  const answers = [breakOffAfter(before + half), other, breakOffAfter(before + bytes + half), all, send];
  pack.faults.set(first, (...args) => answers.shift()(...args));
  const { failure } = await importPack(page, { concurrency: 1 });
  assert.equal(failure.code, "none", failure.message);
  assert.deepEqual(answers, []);
});

const redirect = (response) => response.writeHead(302, { location: "/" }).end();
const shorter = (response, bytes) => send(response, bytes.subarray(1));
const longer = (response, bytes) => send(response, Buffer.concat([bytes, Buffer.alloc(1)]));
const flipped = (response, bytes) => {
  const copy = Buffer.from(bytes);
  copy[1000] ^= 1;
  send(response, copy);
};
const status = (code) => (response) => response.writeHead(code).end();

const faults = [
  ["a web page instead of the manifest", "manifest.json", sendPage, "model_not_found", /web page/],
  ["a manifest that is none", "manifest.json", (response) => send(response, Buffer.from("{}")), "model_damaged", /manifest/],
  ["half a manifest", "manifest.json", breakOff, "network", /manifest/],
  ["a web page instead of a shard", first, sendPage, "model_not_found", /web page/],
  ["a redirect to a web page", first, redirect, "model_not_found", /web page/],
  ["a shard that is not there", first, status(404), "model_not_found", /404/],
  ["a shard that may not be read", first, status(403), "network", /403/],
  ["a shard that is too short", first, shorter, "model_damaged", /bytes/],
  ["a shard that is too long", first, longer, "model_damaged", /bytes/],
  ["a shard with one wrong bit", first, flipped, "model_damaged", /SHA-256/],
  ["a shard whose connection always breaks", first, breakOff, "network", /shard-00002/],
];

test("a server's faults are named, damage nothing, and cost no more than the shard", async (t) => {
  const pack = new PackServer();
  const page = await open(t, { pack });
  for (const [what, name, fault, code, message] of faults) {
    await t.test(what, async () => {
      pack.faults.set(name, fault);
      const { failure } = await importPack(page);
      assert.equal(failure.code, code, failure.message);
      assert.match(failure.message, message);
      assert.ok(failure.hint.length > 0);
      assert.ok((await listed(page)).every(({ complete }) => !complete));
      pack.faults.clear();
    });
  }
  pack.requests.length = 0;
  const { failure } = await importPack(page);
  assert.equal(failure.code, "none", failure.message);
  assert.ok(pack.shardsAskedFor.includes(first), "nothing of the bad shard was kept");
});

/** The SHA-256 by which an engine knows the model "apple". */
const sha256Of = (page) =>
  page.evaluate(async () => {
    const engine = await glassine.createEngine({ model: "apple", device: "cpu" });
    await engine.dispose();
    return engine.info.sha256;
  });

test("a new version replaces the old one, which works until the new one is whole", async (t) => {
  const pack = new PackServer();
  const page = await open(t, { pack });
  await importPack(page);
  const [before] = await listed(page);
  const old = await sha256Of(page);

  pack.changeShard(second);
  pack.faults.set(second, status(403));
  assert.equal((await importPack(page)).failure.code, "network");
  assert.equal(await sha256Of(page), old);

  pack.faults.clear();
  pack.requests.length = 0;
  assert.equal((await importPack(page)).failure.code, "none");
  assert.deepEqual(pack.shardsAskedFor, [second]);
  assert.notEqual(await sha256Of(page), old);
  const [after] = await listed(page);
  assert.ok(Math.abs(after.bytes - before.bytes) < 1000, "nothing is left of the old version");
});

test("a new version whose manifest finds no room leaves the old one as it was", async (t) => {
  const pack = new PackServer();
  const page = await open(t, { pack, before: ["full-disk"] });
  await importPack(page);
  const old = await sha256Of(page);

  pack.changeShard(second);
  pack.rename("unstorable");
  assert.equal((await importPack(page)).failure.code, "quota_exceeded");
  pack.requests.length = 0;
  assert.equal(await sha256Of(page), old);
  assert.deepEqual(pack.requests, [], "nothing of it has to be fetched");

  await page.evaluate(() => models.remove("apple"));
  assert.equal((await importPack(page)).failure.code, "quota_exceeded");
  assert.deepEqual((await listed(page)).map(({ complete }) => complete), [false]);
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
  assert.deepEqual(pack.shardsAskedFor, [first, second]);
});
