// The network and the servers behind it: cut, slow, wrong, and gone on with.

import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { test } from "node:test";
import { assertMonotone, first, importPack, listed, second, small } from "../browser/lib/importing.js";
import { open } from "../browser/lib/open.js";
import { breakOff, PackServer, send, sendPage, stall } from "../browser/lib/pack.js";
import { assertTidy } from "./lib/left.js";
import { randomOf, times } from "./lib/random.js";

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


test("connections that are cut at random bytes, again and again, and gone on with", async (t) => {
  const { below } = randomOf(t);
  const pack = new PackServer();
  const page = await open(t, { pack });
  let cuts = 0;
  // Two cuts of each file are fewer than the package's attempts.
  const cutTwice = () => {
    let left = 2;
    return (response, bytes, range) => {
      if (left-- <= 0) return send(response, bytes, range);
      const start = range ? Number(/\d+/.exec(range)[0]) : 0;
      const end = start + below(bytes.length - start);
      response.writeHead(range ? 206 : 200, {
        "content-type": "application/octet-stream",
        "content-length": bytes.length - start,
        ...(range && { "content-range": `bytes ${start}-${bytes.length - 1}/${bytes.length}` }),
      });
      cuts += 1;
      response.write(bytes.subarray(start, end), () => response.destroy());
    };
  };
  for (let time = 0; time < times(2); time++) {
    for (const { file } of pack.manifest.shards) pack.faults.set(file, cutTwice());
    const { failure } = await importPack(page);
    assert.equal(failure.code, "none", failure.message);
    await assertTidy(page);
    await page.evaluate(() => models.remove("apple"));
  }
  t.diagnostic(`${cuts} cuts in ${times(2)} imports`);
});

test("an engine by URL whose shards are cut, refused and slow in the middle of its work", async (t) => {
  const { oneOf, below } = randomOf(t);
  const pack = new PackServer();
  const page = await open(t, { pack });
  const expected = await page.evaluate(async () => {
    // With one network at a time in memory, every picture reads.
    window.engine = await glassine.createEngine({ model: "/pack/", device: "cpu", memoryLimit: 0 });
    window.pixels = async () =>
      (await engine.generate({ prompt: "a red apple", seed: 1, steps: 1, mode: "opaque" })).layers[0].imageData.data.join();
    return pixels();
  });
  const slow = (response, bytes) => {
    response.writeHead(200, { "content-type": "application/octet-stream", "content-length": bytes.length });
    const piece = Math.ceil(bytes.length / 20);
    const next = (at) => (at < bytes.length ? response.write(bytes.subarray(at, at + piece), () => setTimeout(next, 5, at + piece)) : response.end());
    next(0);
  };
  const kinds = { breakOff, slow, refused: (response) => response.writeHead(503).end() };
  const counts = {};
  for (let time = 0; time < times(6); time++) {
    const kind = oneOf(Object.keys(kinds));
    let left = 1 + below(2);
    const asked = pack.requests.length;
    pack.faults.set("*", (response, bytes, range) => (left-- > 0 ? kinds[kind](response, bytes) : send(response, bytes, range)));
    assert.ok((await page.evaluate(() => pixels())) === expected, kind);
    if (pack.requests.length > asked) counts[kind] = (counts[kind] ?? 0) + 1;
  }
  assert.equal(page.workers().length, 1);
  t.diagnostic(JSON.stringify(counts));
});
