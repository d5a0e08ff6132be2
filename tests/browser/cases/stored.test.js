// A stored model is loaded, checked, mended and removed.

import assert from "node:assert/strict";
import { test } from "node:test";
import { first, second, small } from "../lib/importing.js";
import { open, openTab } from "../lib/open.js";
import { hangUp, PackServer, stall } from "../lib/pack.js";

/** A page with the pack stored as "apple", and a server that has forgotten being asked. */
async function openWithModel(t) {
  const pack = new PackServer();
  const page = await open(t, { pack });
  await page.evaluate(() => models.import("/pack/", { name: "apple" }));
  pack.requests.length = 0;
  return { pack, page };
}

const sha256Of = (pack, name) => pack.manifest.shards.find(({ file }) => file === name).sha256;

/** Changes a stored file behind the package's back: one bit of it, or all of it is gone. */
async function damage(page, file, how) {
  await page.evaluate(
    async (file, how) => {
      let folder = await navigator.storage.getDirectory();
      for (const name of ["glassine", "models", "apple"]) folder = await folder.getDirectoryHandle(name);
      if (how === "gone") return folder.removeEntry(file);
      const handle = await folder.getFileHandle(file);
      const bytes = new Uint8Array(await (await handle.getFile()).arrayBuffer());
      bytes[bytes.length - 1] ^= 1;
      const writable = await handle.createWritable();
      await writable.write(how === "cut" ? bytes.subarray(1) : bytes);
      await writable.close();
    },
    file,
    how,
  );
}

const verify = (page, options) => page.evaluate((options) => models.verify("apple", options), options);

/** Loads the stored model; gives the failure and how its loading went on. */
const load = (page) =>
  page.evaluate(async () => {
    const loaded = [];
    const onProgress = ({ loadedBytes }) => loaded.push(loadedBytes);
    const failure = await failureOf(
      glassine.createEngine({ model: "apple", device: "cpu", onProgress }).then((engine) => engine.dispose()),
    );
    return { failure, loaded };
  });

const whole = { intact: true, missing: [], damaged: [] };

test("a shard that is found damaged on loading is fetched again, alone", async (t) => {
  const { pack, page } = await openWithModel(t);
  for (const how of ["flipped", "cut", "gone"]) {
    pack.requests.length = 0;
    await damage(page, sha256Of(pack, second), how);
    const { failure, loaded } = await load(page);
    assert.equal(failure.code, "none", failure.message);
    assert.deepEqual(pack.requests.map(({ name }) => name), [second], how);
    assert.deepEqual(loaded, [...loaded].sort((a, b) => a - b));
    assert.deepEqual(await verify(page), whole);
  }
});

test("a manifest that is found damaged on loading is fetched again, if it is the same", async (t) => {
  const { pack, page } = await openWithModel(t);
  const name = await page.evaluate(async () => {
    const folders = await (await navigator.storage.getDirectory()).getDirectoryHandle("glassine");
    const apple = await (await folders.getDirectoryHandle("models")).getDirectoryHandle("apple");
    const record = await (await apple.getFileHandle("model.json")).getFile();
    return JSON.parse(await record.text()).manifest;
  });
  await damage(page, name, "flipped");
  assert.deepEqual(await verify(page), { intact: false, missing: [], damaged: ["manifest.json"] });
  assert.equal((await load(page)).failure.code, "none");
  assert.deepEqual(pack.requests.map(({ name }) => name), ["manifest.json"]);
  assert.deepEqual(await verify(page), whole);

  await damage(page, name, "flipped");
  pack.changeShard(second);
  const { failure } = await load(page);
  assert.equal(failure.code, "model_damaged");
  assert.match(failure.message, /another version/);
});

test("damage that cannot be mended says what to do", async (t) => {
  const { pack, page } = await openWithModel(t);
  await damage(page, sha256Of(pack, second), "flipped");
  pack.faults.set("*", (response) => response.writeHead(403).end());
  const { failure } = await load(page);
  assert.equal(failure.code, "model_damaged");
  assert.match(failure.message, /403/);
  assert.match(failure.hint, /models\.verify\("apple".*import/);
});

test("verify says what is missing and damaged, and repairs it when asked to", async (t) => {
  const { pack, page } = await openWithModel(t);
  assert.deepEqual(await verify(page), whole);
  await damage(page, sha256Of(pack, small), "gone");
  await damage(page, sha256Of(pack, second), "flipped");
  const found = { intact: false, missing: [small], damaged: [second] };
  assert.deepEqual(await verify(page), found);
  assert.deepEqual(await verify(page), found, "looking changes nothing");
  assert.deepEqual(pack.requests, []);

  const events = await page.evaluate(async () => {
    const events = [];
    await models.verify("apple", { repair: true, onProgress: (event) => events.push(event) });
    return events;
  });
  assert.deepEqual([...new Set(events.map(({ phase }) => phase))], ["checking", "downloading"]);
  const { loadedBytes, totalBytes } = events.at(-1);
  assert.equal(loadedBytes, totalBytes);
  assert.deepEqual(pack.requests.map(({ name }) => name).sort(), [small, second]);
  assert.deepEqual(await verify(page), whole);
});

test("importing again finds damage, too", async (t) => {
  const { pack, page } = await openWithModel(t);
  await damage(page, sha256Of(pack, second), "flipped");
  await page.evaluate(() => models.import("/pack/", { name: "apple" }));
  assert.deepEqual(pack.shardsAskedFor, [second]);
  assert.deepEqual(await verify(page), whole);
});

test("what a model would be called is known before it is stored", async (t) => {
  const pack = new PackServer();
  pack.rename("Red apple, v2");
  const page = await open(t, { pack });
  const nameOf = (expression) => page.evaluate(`failureOf(models.nameOf(${expression})).then(({ message }) => message)`);
  assert.equal(await page.evaluate(() => models.nameOf("/pack/")), "Red-apple-v2");
  assert.deepEqual(pack.shardsAskedFor, []);
  assert.equal(await page.evaluate(() => models.nameOf(new File([], "Dream Shaper.safetensors"))), "Dream-Shaper");
  assert.match(await nameOf('"/nothing/"'), /404/);
  assert.match(await nameOf('new File([], "mini.ckpt")'), /no stored model can be called "mini"/);
});

test("estimate says what is to come, and what there is room for", async (t) => {
  const pack = new PackServer();
  const page = await open(t, { pack });
  const estimate = (model) => page.evaluate((model) => models.estimate(model), model);
  const { usage, quota, persisted } = await estimate();
  assert.ok(quota > usage);
  assert.equal(typeof persisted, "boolean");
  const before = await estimate("/pack/");
  assert.deepEqual([before.name, before.totalBytes, before.downloadBytes], ["mini", pack.bytes, pack.bytes]);
  assert.ok(before.parts.includes("unet") && !before.parts.includes("controlnet"), before.parts.join());

  await page.evaluate(() => models.import("/pack/", { name: "apple" }));
  await damage(page, sha256Of(pack, first), "gone");
  const { bytes } = pack.manifest.shards.find(({ file }) => file === first);
  pack.requests.length = 0;
  assert.equal((await estimate("apple")).downloadBytes, bytes);
  assert.deepEqual(pack.requests, [], "a stored model is estimated without its server");
});

test("a removed model is gone", async (t) => {
  const { pack, page } = await openWithModel(t);
  const { removed, again, names, failure } = await page.evaluate(async () => ({
    removed: await models.remove("apple"),
    again: await models.remove("apple"),
    names: (await models.list()).map(({ name }) => name),
    failure: await failureOf(models.verify("apple")),
  }));
  assert.deepEqual([removed, again, names], [true, false, ["mini"]]);
  assert.equal(failure.code, "model_not_found");
  assert.equal((await load(page)).failure.code, "model_not_found");
  assert.deepEqual(pack.requests, []);
});

test("an engine whose model was replaced meanwhile takes up the new one, and says so", async (t) => {
  const { pack, page } = await openWithModel(t);
  await page.evaluate(async () => (window.engine = await glassine.createEngine({ model: "apple", device: "cpu" })));
  pack.changeShard(second);
  const { codes, known, recipe, newest } = await page.evaluate(async () => {
    await models.import("/pack/", { name: "apple" });
    const picture = new ImageData(64, 64);
    const known = [engine.info.sha256];
    // Encoding is the first to need the encoders' shards.
    const codes = [];
    for (let i = 0; i < 2; i++) codes.push((await failureOf(engine.encode(picture))).code);
    known.push(engine.info.sha256);
    const { layers } = await engine.generate({ prompt: "a red apple", steps: 1, decodePasses: 1 });
    const other = await glassine.createEngine({ model: "apple", device: "cpu" });
    return { codes, known, recipe: layers[0].recipe, newest: other.info.sha256 };
  });
  assert.deepEqual(codes, ["io", "none"]);
  assert.notEqual(known[0], newest);
  assert.equal(known[1], newest);
  assert.equal(recipe.model, `sha256:${newest}`);
});

test("two tabs that find the same damage fetch the shard once", async (t) => {
  const { pack, page } = await openWithModel(t);
  await damage(page, sha256Of(pack, second), "flipped");
  const other = await openTab(t, page.browser(), page.url());
  const results = await Promise.all([load(page), load(other)]);
  assert.deepEqual(results.map(({ failure }) => failure.code), ["none", "none"]);
  assert.deepEqual(pack.requests.map(({ name }) => name), [second]);
});

test("an engine is disposed while its model is being mended", async (t) => {
  const { pack, page } = await openWithModel(t);
  await damage(page, sha256Of(pack, second), "gone");
  const stalled = new Promise((resolve) => pack.faults.set(second, stall(resolve)));
  await page.evaluate(() => {
    window.controller = new AbortController();
    window.loading = failureOf(glassine.createEngine({ model: "apple", device: "cpu", signal: controller.signal }));
  });
  await stalled;
  const failure = await page.evaluate(async () => {
    controller.abort();
    return loading;
  });
  assert.equal(failure.code, "aborted");
  assert.equal(await page.evaluate(() => models.remove("apple")), true, "nobody holds it any more");
});

test("a page without storage says so, and still loads by URL", async (t) => {
  const pack = new PackServer();
  const page = await open(t, { pack });
  // Not a secure address, unlike localhost.
  await page.goto(page.url().replace(/[^/]*localhost/, "0.0.0.0"));
  await page.waitForFunction(() => window.models);
  const result = await page.evaluate(async () => {
    const codeOf = (promise) => promise.then(() => "none", ({ code }) => code);
    return {
      names: (await models.list()).map(({ name }) => name),
      import: await codeOf(models.import("/pack/", { name: "apple" })),
      verify: await codeOf(models.verify("apple")),
      removed: await models.remove("apple"),
      quota: (await models.estimate()).quota,
      bytes: (await models.estimate("/pack/")).downloadBytes,
      load: await codeOf(glassine.createEngine({ model: "/pack/", device: "cpu" })),
    };
  });
  assert.deepEqual(result, {
    names: ["mini"],
    import: "storage_unavailable",
    verify: "storage_unavailable",
    removed: false,
    quota: 0,
    bytes: pack.bytes,
    load: "none",
  });
});

test("a model that is given by URL is kept for the next time, if that is asked for", async (t) => {
  const pack = new PackServer();
  const page = await open(t, { pack });
  const load = (options) =>
    page.evaluate(async (options) => {
      const [events, stored] = [[], []];
      const store = { ...options, onProgress: (event) => stored.push(event) };
      const failure = await failureOf(
        glassine.createEngine({ model: "/pack/", device: "cpu", store, onProgress: ({ phase }) => events.push(phase) }).then((engine) => engine.dispose()),
      );
      return { failure, events: [...new Set(events)], stored: stored.at(-1) };
    }, options);
  const kept = await load({ name: "apple" });
  assert.equal(kept.failure.code, "none", kept.failure.message);
  assert.deepEqual(kept.events, ["loading"]);
  assert.deepEqual(kept.stored, { phase: "downloading", loadedBytes: pack.bytes, totalBytes: pack.bytes });
  const list = await page.evaluate(() => models.list());
  assert.deepEqual(list.filter(({ builtIn }) => !builtIn).map(({ name, complete }) => [name, complete]), [["apple", true]]);

  pack.requests.length = 0;
  pack.faults.set("*", hangUp);
  const again = await load({});
  assert.equal(again.failure.code, "none", again.failure.message);
  assert.deepEqual([again.events, again.stored], [["loading"], undefined]);
  assert.deepEqual(pack.requests, [], "the next time needs no server");

  // Another model's name is not taken from it: this pack calls itself as its neighbour is called.
  pack.faults.clear();
  pack.rename("apple");
  const names = await page.evaluate(async () => {
    await models.remove("apple");
    await models.import("/pack/", { name: "apple" });
    await (await glassine.createEngine({ model: "/pack/other/..", device: "cpu", store: true })).dispose();
    await (await glassine.createEngine({ model: "/pack//", device: "cpu", store: true })).dispose();
    return (await models.list()).map(({ name }) => name);
  });
  assert.deepEqual(names, ["mini", "apple", "apple-2"]);

  const failures = await page.evaluate(async () => [
    await failureOf(glassine.createEngine({ model: "/pack/", store: { name: "mini" } })),
    await failureOf(glassine.createEngine({ model: "/pack/", store: { nmae: "apple" } })),
    await failureOf(glassine.createEngine({ model: { read: async () => new Uint8Array() }, store: true })),
  ]);
  for (const { code, message } of failures) assert.equal(code, "bad_option", message);
});

test("where there is no room, a model that was to be kept is loaded from its URL", async (t) => {
  const pack = new PackServer();
  const page = await open(t, { pack });
  const client = await page.createCDPSession();
  await client.send("Storage.overrideQuotaForOrigin", { origin: new URL(page.url()).origin, quotaSize: 1e6 });
  const failure = await page.evaluate(() => failureOf(glassine.createEngine({ model: "/pack/", device: "cpu", store: true })));
  assert.equal(failure.code, "none", failure.message);
});
