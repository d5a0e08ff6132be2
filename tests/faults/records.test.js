// A model's record is torn or garbled, at any byte of one of its two files: the model is whole, and the next import or
// repair mends the record.

import assert from "node:assert/strict";
import { test } from "node:test";
import { open } from "../browser/lib/open.js";
import { randomOf, some, times } from "./lib/random.js";
import { checkpointFolder, giveFiles } from "./lib/files.js";
import { SmallPack } from "./lib/small-pack.js";
import { assertTidy, importPack, listed } from "./lib/left.js";

/** The record files of a model, with their lengths. */
const records = (page, model = "apple") =>
  page.evaluate(async (model) => {
    let folder = await navigator.storage.getDirectory();
    for (const name of ["glassine", "models", model]) folder = await folder.getDirectoryHandle(name);
    const files = {};
    for await (const [name, handle] of folder) {
      if (!/^[0-9a-f]{64}$/.test(name)) files[name] = (await handle.getFile()).size;
    }
    return files;
  }, model);

/** Changes a record: `cut` to a length, one byte of it `flipped` by some bits, or another `text`. */
const damage = (page, file, how, model = "apple") =>
  page.evaluate(
    async (file, { cut, flipped, bits, text }, model) => {
      let folder = await navigator.storage.getDirectory();
      for (const name of ["glassine", "models", model]) folder = await folder.getDirectoryHandle(name);
      const handle = await folder.getFileHandle(file);
      let bytes = new Uint8Array(await (await handle.getFile()).arrayBuffer());
      if (cut !== undefined) bytes = bytes.subarray(0, cut);
      if (flipped !== undefined) bytes[flipped] ^= bits;
      if (text !== undefined) bytes = new TextEncoder().encode(text);
      const writable = await handle.createWritable();
      await writable.write(bytes);
      await writable.close();
    },
    file,
    how,
    model,
  );

/** What uses a damaged model, and how that ends; a small pack's engine meets "model_damaged" when all is right. */
const uses = [
  [async () => (await failureOf(models.verify("apple"))).code, "none"],
  [async () => (await failureOf(models.verify("apple", { repair: true }))).code, "none"],
  [async () => (await failureOf(glassine.createEngine({ model: "apple", device: "cpu" }))).code, "model_damaged"],
];

let turn = 0;

async function tear(page, pack, file, how) {
  await damage(page, file, how);
  const what = `${file}: ${JSON.stringify(how)}`;
  const [way, expected] = uses[turn++ % uses.length];
  const [{ complete, origin }] = await listed(page);
  assert.deepEqual({ complete, origin }, { complete: true, origin: `${page.url()}pack/` }, what);
  assert.equal(await page.evaluate(way), expected, `${what}: ${way}`);
  pack.shardsAskedFor.length = 0;
  assert.equal(await importPack(page), "none", what);
  assert.deepEqual(pack.shardsAskedFor, [], `${what}: nothing is fetched again`);
  await assertTidy(page);
}

test("cut at any byte", async (t) => {
  const random = randomOf(t);
  const pack = new SmallPack();
  const page = await open(t, { pack });
  await importPack(page);
  for (const [file, bytes] of Object.entries(await records(page))) {
    const cuts = some(Array.from({ length: bytes }, (_, cut) => cut), 12, random);
    for (const cut of cuts) await tear(page, pack, file, { cut });
    t.diagnostic(`${file} was cut at ${cuts.length} of ${bytes} places`);
  }
});

test("garbled at random", async (t) => {
  const { below } = randomOf(t);
  const pack = new SmallPack();
  const page = await open(t, { pack });
  await importPack(page);
  for (const [file, bytes] of Object.entries(await records(page))) {
    for (let time = 0; time < times(12); time++) await tear(page, pack, file, { flipped: below(bytes), bits: 1 + below(255) });
    t.diagnostic(`${file} was garbled ${times(12)} times`);
  }
});

test("a model of a page's own files is whole, at whatever byte its record is torn or garbled", async (t) => {
  const random = randomOf(t);
  const { folder, paths } = checkpointFolder(t);
  const page = await open(t, { pack: folder });
  await giveFiles(page, paths);
  assert.equal(await page.evaluate(async () => (await failureOf(packing({ quantize: "q4" }))).code), "none");
  const whole = await records(page, "tiny");
  for (const [file, bytes] of Object.entries(whole)) {
    const cuts = Array.from({ length: bytes }, (_, cut) => ({ cut }));
    const garbled = () => ({ flipped: random.below(bytes), bits: 1 + random.below(255) });
    for (const how of [...some(cuts, 12, random), ...Array.from({ length: times(6) }, garbled)]) {
      await damage(page, file, how, "tiny");
      const what = `${file}: ${JSON.stringify(how)}`;
      const [model] = await listed(page);
      assert.deepEqual([model.name, model.complete, model.origin], ["tiny", true, undefined], what);
      // Repairing mends the record, too, so that the next damage finds the other one whole.
      const repaired = await page.evaluate(() => models.verify("tiny", { repair: true }));
      assert.deepEqual(repaired, { intact: true, missing: [], damaged: [] }, what);
      assert.deepEqual(await records(page, "tiny"), whole, what);
    }
    t.diagnostic(`${file} was damaged at ${Math.min(bytes, times(12)) + times(6)} places`);
  }
  const roles = await page.evaluate(async () => {
    const engine = await glassine.createEngine({ model: "tiny", device: "cpu" });
    const { layers } = await engine.generate({ prompt: "a red apple", mode: "opaque", width: 8, height: 8, steps: 1 });
    return layers.map(({ role }) => role);
  });
  assert.deepEqual(roles, ["image"]);
  await assertTidy(page);
});

test("of other content", async (t) => {
  const pack = new SmallPack();
  const page = await open(t, { pack });
  await importPack(page);
  const sha256 = "0".repeat(64);
  const texts = [
    ...["null", "3", "[]", '"text"', "{}"],
    ...[{ manifest: 7 }, { manifest: "" }, { manifest: "../apple" }, { manifest: sha256 }, { manifest: {} }].map(JSON.stringify),
    ...[{ origin: 7, manifest: sha256 }, { origin: "nowhere", manifest: sha256 }, { origin: "data:,", manifest: null }].map(JSON.stringify),
  ];
  for (const [file] of Object.entries(await records(page))) {
    for (const text of texts) await tear(page, pack, file, { text });
  }
});
