// The store of models, over a file system in memory.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { beforeEach, test } from "node:test";
import { findByOrigin, findStored, isModelName, ModelFolder, modelNameOf } from "../dist/internal/shared/store.js";
import { Staging } from "../dist/internal/worker/staging.js";
import { packFormat } from "../dist/public/generated.js";
import { FakeDisk } from "./fake-opfs.js";

const bytesOf = (length, seed = 0) => Uint8Array.from({ length }, (_, index) => (index * 7 + seed) % 251);
const hashOf = (bytes) => createHash("sha256").update(bytes).digest("hex");

let disk;

beforeEach(() => {
  disk = new FakeDisk();
  disk.install();
});

test("what is written is read again, and nothing stays open", async () => {
  const folder = await ModelFolder.create("apple");
  await folder.write("a", bytesOf(100));
  assert.deepEqual(await folder.read("a"), bytesOf(100));
  await folder.write("a", bytesOf(40, 1));
  assert.deepEqual(await folder.read("a"), bytesOf(40, 1), "a shorter file leaves nothing of the longer one");
  assert.deepEqual(await folder.sizes(), new Map([["a", 40]]));
  assert.equal(await folder.read("b"), undefined);
  assert.equal(disk.open, 0);
  assert.equal(disk.flushed, 2);
});

test("a write that the browser takes in parts is finished", async () => {
  disk.maxWrite = 33;
  const folder = await ModelFolder.create("apple");
  const bytes = bytesOf(100);
  await folder.write(hashOf(bytes), bytes);
  assert.deepEqual(await folder.readIntact(hashOf(bytes)), bytes);
});

test("a write that the browser does not take is an error, and the file gives itself away", async () => {
  const folder = await ModelFolder.create("apple");
  const bytes = bytesOf(100);
  disk.maxWrite = 0;
  const failure = await folder.write(hashOf(bytes), bytes).catch((error) => error);
  assert.equal(failure.code, "io");
  assert.match(failure.message, /0 of 100 bytes/);
  assert.equal(failure.recoverable, true);
  assert.equal(await folder.readIntact(hashOf(bytes)), undefined);
  assert.equal(disk.open, 0, "the file can be opened again");
});

test("a full disk has an error of its own, with the browser's as its cause", async () => {
  const folder = await ModelFolder.create("apple");
  disk.quota = 99;
  const failure = await folder.write("a", bytesOf(100)).catch((error) => error);
  assert.equal(failure.code, "quota_exceeded");
  assert.match(failure.message, /100 bytes of apple/);
  assert.equal(failure.recoverable, true);
  assert.equal(failure.cause.name, "QuotaExceededError");
  assert.equal(disk.open, 0);
});

test("room is found to the byte, and what it took is given back", async () => {
  const folder = await ModelFolder.create("apple");
  await folder.write("a", bytesOf(300));
  disk.quota = 1000;
  assert.equal(await folder.room(700), 700);
  assert.equal(await folder.room(5000), 700);
  assert.equal(disk.used(), 300);
  const staging = await Staging.open("pear");
  await assert.rejects(staging.checkRoom(5000), { code: "quota_exceeded", message: /bytes are missing/ });
  assert.equal(disk.open, 0);
});

test("a model is found once its folder is there, complete once its record names a manifest", async () => {
  assert.equal(await ModelFolder.find("apple"), undefined);
  assert.deepEqual(await ModelFolder.all(), []);
  await assert.rejects(findStored("apple"), { code: "model_not_found", message: /no model is stored/ });

  const folder = await ModelFolder.create("pear");
  await ModelFolder.create("apple");
  assert.deepEqual((await ModelFolder.all()).map(({ name }) => name), ["apple", "pear"]);
  assert.equal(await folder.record(), undefined);
  await folder.writeRecord({ origin: "https://models.example/pear/", manifest: null });
  await assert.rejects(findStored("pear"), { code: "model_not_found", message: /not completely stored/ });
  const manifest = "0123456789abcdef".repeat(4);
  await folder.writeRecord({ origin: "https://models.example/pear/", manifest });
  assert.deepEqual((await findStored("pear")).record, { origin: "https://models.example/pear/", manifest });

  for (const file of ["model.json", "model.json.copy"]) disk.at(`glassine/models/pear/${file}`).bytes = bytesOf(5);
  assert.equal(await folder.record(), undefined, "a record that is no JSON is none");
  await ModelFolder.remove("pear");
  assert.equal(await ModelFolder.find("pear"), undefined);
});

test("names that are no folder's", () => {
  for (const name of ["", "mini", ".hidden", "a/b", "..", "a".repeat(65)]) assert.equal(isModelName(name), false, name);
  for (const name of ["a", "dreamshaper-8.q4", "Mini"]) assert.ok(isModelName(name), name);
  assert.equal(modelNameOf("../Dream Shaper (8)"), "Dream-Shaper-8-");
});

test("without storage nothing is found, and storing says why it cannot be", async () => {
  for (const value of [undefined, {}, { storage: { getDirectory: () => Promise.reject(new DOMException("no", "SecurityError")) } }]) {
    Object.defineProperty(globalThis, "navigator", { configurable: true, value });
    assert.equal(await ModelFolder.find("apple"), undefined);
    assert.deepEqual(await ModelFolder.all(), []);
    await assert.rejects(ModelFolder.create("apple"), { code: "storage_unavailable" });
  }
});

const shardOf = (bytes, index) => ({ file: `shard-0000${index + 1}.safetensors`, bytes: bytes.length, sha256: hashOf(bytes) });
const manifestOf = (parts) => new TextEncoder().encode(JSON.stringify({ glassine: packFormat, name: "apple", shards: parts.map(shardOf) }));
const checking = { signal: new AbortController().signal, onBytes() {} };

/** Stores a model of these parts. */
async function store(parts) {
  const staging = await Staging.open("apple", "https://models.example/apple/");
  const missing = new Set((await staging.missing(parts.map(shardOf), checking)).map(({ sha256 }) => sha256));
  for (const part of parts) if (missing.has(hashOf(part))) await staging.write(hashOf(part), part);
  await staging.commit(manifestOf(parts));
  return missing.size;
}

test("an import goes on where a full disk stopped it, and then leaves nothing over", async () => {
  const parts = [bytesOf(100), bytesOf(200, 1), bytesOf(300, 2)];
  disk.quota = 700;
  await assert.rejects(store(parts), { code: "quota_exceeded" });
  await assert.rejects(findStored("apple"), { code: "model_not_found" });
  disk.quota = Infinity;
  disk.at("glassine/models/apple").entries.get(hashOf(parts[0])).bytes[0] ^= 1;
  assert.equal(await store(parts), 2, "the damaged part and the one that did not fit");
  const { folder, record } = await findStored("apple");
  assert.equal(record.manifest, hashOf(manifestOf(parts)));
  const files = ["model.json", "model.json.copy", record.manifest, ...parts.map(hashOf)].sort();
  assert.deepEqual([...(await folder.sizes()).keys()].sort(), files);
});

test("a new version that does not fit leaves the old one whole", async () => {
  const old = [bytesOf(100)];
  await store(old);
  disk.quota = disk.used() + 150;
  await assert.rejects(store([bytesOf(200, 1)]), { code: "quota_exceeded" });
  const { folder, record } = await findStored("apple");
  assert.equal(record.manifest, hashOf(manifestOf(old)));
  assert.deepEqual(await folder.readIntact(hashOf(old[0])), old[0]);
});

test("whenever the power fails while a record is replaced, the one before or the new one is in force", async () => {
  const record = (manifest) => ({ origin: "https://models.example/apple/", manifest });
  const seen = new Set();
  for (let power = 0; ; power++) {
    disk = new FakeDisk();
    disk.install();
    const folder = await ModelFolder.create("apple");
    await folder.writeRecord(record("before"));
    disk.power = power;
    const failed = await folder.writeRecord(record("a longer one")).then(() => false, () => true);
    disk.power = Infinity;
    const { manifest } = await folder.record();
    assert.ok(["before", "a longer one"].includes(manifest), `${manifest} after ${power} changes`);
    seen.add(manifest);
    await folder.writeRecord(record("c"));
    assert.deepEqual(await folder.record(), record("c"));
    assert.deepEqual([...(await folder.sizes()).keys()].sort(), ["model.json", "model.json.copy"]);
    if (!failed) break;
  }
  assert.equal(seen.size, 2);
});

test("a record that is torn or garbled in one of its files, at any byte, is found in the other and mended", async () => {
  for (const record of [{ manifest: "a".repeat(64) }, { origin: "https://models.example/apple/", manifest: "b".repeat(64) }]) {
    const folder = await ModelFolder.create("apple");
    await folder.writeRecord(record);
    const expected = { origin: undefined, ...record };
    for (const file of ["model.json", "model.json.copy"]) {
      const whole = disk.at(`glassine/models/apple/${file}`).bytes;
      for (let at = 0; at < whole.length; at++) {
        const garbled = whole.slice();
        garbled[at] ^= 1 + (at % 255);
        for (const bytes of [whole.slice(0, at), garbled]) {
          disk.at(`glassine/models/apple/${file}`).bytes = bytes;
          assert.deepEqual(await folder.record(), expected, `${file} at ${at}`);
          await folder.writeRecord(await folder.record());
          assert.deepEqual(disk.at(`glassine/models/apple/${file}`).bytes, whole);
        }
      }
    }
  }
});

test("a record of before there were copies is read, and replaced", async () => {
  const folder = await ModelFolder.create("apple");
  const old = { origin: "https://models.example/apple/", manifest: "a".repeat(64) };
  await folder.write("model.json", new TextEncoder().encode(JSON.stringify(old)));
  assert.deepEqual(await folder.record(), old);
  const next = { origin: old.origin, manifest: "b".repeat(64) };
  await folder.writeRecord(next);
  assert.deepEqual(await folder.record(), next);
});

test("a packing that is cut off can be undone, wherever it was", async () => {
  const pack = async (parts, steps) => {
    const staging = await Staging.open("apple");
    for (const part of parts.slice(0, steps)) await staging.write(hashOf(part), part);
    if (steps > parts.length) await staging.commit(manifestOf(parts));
  };
  const parts = [bytesOf(100), bytesOf(200, 1)];
  for (const steps of [0, 1, 2]) {
    await pack(parts, steps);
    await (await ModelFolder.find("apple")).undoPacking();
    assert.equal(await ModelFolder.find("apple"), undefined, `after ${steps} parts nothing is left`);
  }

  await store([bytesOf(50)]);
  const { folder, record } = await findStored("apple");
  const before = await folder.sizes();
  await pack(parts, 1);
  assert.equal((await folder.sizes()).size, before.size + 2, "the part and the note");
  await folder.undoPacking();
  assert.deepEqual(await folder.sizes(), before);
  assert.deepEqual(await folder.record(), record);

  await pack(parts, 3);
  const after = await folder.sizes();
  assert.equal(after.size, 5, "the record and its copy, the manifest and two parts");
  await folder.undoPacking();
  assert.deepEqual(await folder.sizes(), after, "what is whole stays");
});

test("a model is found by where it came from, once it is whole", async () => {
  const origin = "https://models.example/apple/";
  await Staging.open("apple", origin);
  assert.equal(await findByOrigin(origin), undefined);
  await store([bytesOf(50)]);
  assert.equal(await findByOrigin(origin), "apple");
  assert.equal(await findByOrigin(origin, "apple"), "apple");
  assert.equal(await findByOrigin(origin, "pear"), undefined);
  assert.equal(await findByOrigin("https://models.example/pear/"), undefined);
});
