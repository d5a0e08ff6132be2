// A model's record is torn or garbled, at any of its bytes: what it belongs to is found again, or imported again without
// fetching what is there, and nothing is taken for whole that is not.

import assert from "node:assert/strict";
import { test } from "node:test";
import { open } from "../browser/lib/open.js";
import { randomOf, some, times } from "./lib/random.js";
import { SmallPack } from "./lib/small-pack.js";
import { assertTidy, importPack, listed } from "./lib/left.js";

/** The record files of the model "apple", with their lengths. */
const records = (page) =>
  page.evaluate(async () => {
    let folder = await navigator.storage.getDirectory();
    for (const name of ["glassine", "models", "apple"]) folder = await folder.getDirectoryHandle(name);
    const files = {};
    for await (const [name, handle] of folder) {
      if (!/^[0-9a-f]{64}$/.test(name)) files[name] = (await handle.getFile()).size;
    }
    return files;
  });

/** Changes a record: `cut` to a length, one byte of it `flipped` by some bits, or another `text`. */
const damage = (page, file, how) =>
  page.evaluate(
    async (file, { cut, flipped, bits, text }) => {
      let folder = await navigator.storage.getDirectory();
      for (const name of ["glassine", "models", "apple"]) folder = await folder.getDirectoryHandle(name);
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
  );

/** What uses a damaged model, and how that may fail; a small pack's engine meets "model_damaged" when all is right. */
const uses = [
  [async () => (await failureOf(models.verify("apple"))).code, ["none", "model_not_found", "model_damaged"]],
  [async () => (await failureOf(models.verify("apple", { repair: true }))).code, ["none", "model_not_found", "model_damaged"]],
  [async () => (await failureOf(glassine.createEngine({ model: "apple", device: "cpu" }))).code, ["model_not_found", "model_damaged"]],
];

let turn = 0;

async function tear(page, pack, file, how) {
  await damage(page, file, how);
  const what = `${file}: ${JSON.stringify(how)}`;
  const [way, codes] = uses[turn++ % uses.length];
  const code = await page.evaluate(way);
  assert.ok(Array.isArray(await listed(page)), what);
  assert.ok(codes.includes(code), `${what}: ${code} of ${way}`);
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
