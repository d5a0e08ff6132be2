// The shelf of files beside models, over a file system in memory, and what prompts name of it.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { beforeEach, test } from "node:test";
import { models } from "../dist/models.js";
import { readLoras } from "../dist/internal/page/loras.js";
import { readEmbeddings } from "../dist/internal/page/embeddings.js";
import { readNamed } from "../dist/internal/page/shelved.js";
import { isShelfName, nameOfFile, onShelf, Shelf } from "../dist/internal/shared/shelf.js";
import { FakeDisk } from "./fake-opfs.js";

const hashOf = (bytes) => createHash("sha256").update(bytes).digest("hex");
const bytesOf = (text) => new TextEncoder().encode(text);

let disk;

beforeEach(() => {
  disk = new FakeDisk();
  disk.install();
  const request = async (name, options, work) => work({ name });
  navigator.locks = { query: async () => ({ held: [] }), request };
});

/** Puts a file there as the worker does, its content being `text`. */
async function put(name, kind, text, more = {}) {
  const shelf = await Shelf.create(name);
  const bytes = bytesOf(text);
  const sha256 = hashOf(bytes);
  const hash = more.hash ?? sha256;
  const notes = { kind, description: kind, hash, shortHash: hash.slice(0, 12), sha256, triggerWords: [], ...more };
  const record = { name, file: `${name}.safetensors`, bytes: bytes.length, ...notes };
  await shelf.writePieces(sha256, bytes.length, async (at) => bytes.slice(at, at + 3));
  await shelf.writeRecord(record);
  return record;
}

const folder = () => [...(disk.at("glassine/shelf")?.entries.keys() ?? [])].sort();

test("what is put on the shelf is listed by name, opened and taken off, and nothing stays of it", async () => {
  assert.deepEqual(await models.shelf.list(), []);
  const ink = await put("ink", "lora", "the ink", { triggerWords: ["inkst"], baseModel: "v1-5" });
  const cat = await put("Cat", "embedding", "the cat", { width: 4 });
  assert.deepEqual(await models.shelf.list(), [cat, ink]);
  const file = await models.shelf.open("INK");
  assert.equal(file.name, "ink.safetensors");
  assert.equal(await file.text(), "the ink");
  assert.equal(await models.shelf.remove("ink"), true);
  assert.equal(await models.shelf.remove("ink"), false);
  assert.deepEqual(await models.shelf.list(), [cat]);
  assert.deepEqual(folder(), [cat.sha256, `${cat.sha256}.json`].sort());
  await models.shelf.remove("cat");
  assert.equal(disk.used(), 0);
  assert.equal(disk.open, 0);
});

test("a name that nothing has says what there is", async () => {
  await assert.rejects(models.shelf.open("ink"), { code: "model_not_found", hint: /There is none/ });
  await put("ink", "lora", "the ink");
  await put("cat", "embedding", "the cat");
  await assert.rejects(models.shelf.open("dog"), { code: "model_not_found", message: /"dog"/, hint: /"cat", "ink"/ });
  await assert.rejects(readLoras([{ file: "inks" }]), { code: "model_not_found", hint: /mean "ink".*There are "ink"\./ });
  await assert.rejects(readLoras([{ file: "cat" }]), { message: /"cat" on the shelf is no LoRA but a embedding/ });
  await assert.rejects(readEmbeddings([{ file: "ink" }]), { code: "model_not_found", hint: /There are "cat"\./ });
  await assert.rejects(readLoras([{ file: "./ink.safetensors" }]), { hint: /new URL/ });
  for (const name of ["", " ink", "a:b", "a/b", "<a>", "a".repeat(129), 7]) {
    assert.equal(isShelfName(name), false, String(name));
    await assert.rejects(models.shelf.remove(name), { code: "bad_option" });
  }
  assert.equal(nameOfFile("My style: v2.SAFETENSORS"), "My style- v2");
  assert.equal(nameOfFile("naïve 墨.pt"), "naïve 墨");
  assert.throws(() => nameOfFile(".safetensors"), { code: "bad_option" });
});

test("what an addition has left that was cut off is never a file, and goes", async () => {
  const text = "the ink";
  for (let power = 0; power < 4; power++) {
    disk.power = power;
    await put("ink", "lora", text).catch(() => {});
    disk.power = Infinity;
    if (disk.at("glassine/shelf")) assert.deepEqual(await onShelf(), [], `after ${power} changes`);
    assert.deepEqual(folder(), [], `after ${power} changes`);
  }
  // While somebody is adding something, it is left alone.
  const shelf = await Shelf.create("ink");
  await shelf.writePieces("a".repeat(64), 3, async () => bytesOf("ink"));
  navigator.locks.request = async (name, options, work) => work(null);
  assert.deepEqual(await onShelf(), []);
  assert.deepEqual(folder(), ["a".repeat(64)]);
});

test("a record that is not as it was written, or of another file, is none", async () => {
  const { sha256 } = await put("ink", "lora", "the ink");
  const file = disk.at(`glassine/shelf/${sha256}.json`);
  const whole = file.bytes;
  file.bytes = bytesOf(new TextDecoder().decode(whole).replace('"bytes":7', '"bytes":8'));
  assert.deepEqual((await (await Shelf.find()).content()).files, []);
  file.bytes = whole;
  assert.equal((await onShelf()).length, 1);
  disk.at(`glassine/shelf/${sha256}`).bytes = bytesOf("the");
  assert.deepEqual((await (await Shelf.find()).content()).files, []);
});

test("a full disk leaves nothing of a file, and says so", async () => {
  disk.quota = 5;
  const shelf = await Shelf.create("ink.safetensors");
  await assert.rejects(shelf.checkRoom(7), { code: "quota_exceeded", message: /ink\.safetensors needs another 7 bytes/, hint: /files of the shelf/ });
  await assert.rejects(put("ink", "lora", "the ink"), { code: "quota_exceeded" });
  assert.equal(disk.open, 0);
  await onShelf();
  assert.equal(disk.used(), 0);
});

test("LoRAs and embeddings are read by name or hash, and a damaged one is not", async () => {
  const ink = await put("ink", "lora", "the ink", { hash: "0a1b2c3d4e5f" });
  await put("other", "lora", "another");
  const [byName] = await readLoras([{ file: "Ink", strength: 0.5 }]);
  assert.deepEqual(byName, { file: "ink.safetensors", bytes: bytesOf("the ink"), name: "Ink", hash: undefined, strength: 0.5, textEncoderStrength: 0.5 });
  const [byHash] = await readLoras([{ file: "other", hash: "0A1B2C3D" }]);
  assert.deepEqual([byHash.file, byHash.name, byHash.hash], ["ink.safetensors", "other", "0A1B2C3D"]);
  const [whole] = await readLoras([{ file: "gone", hash: ink.sha256.slice(0, 10), name: "mine" }]);
  assert.deepEqual([whole.file, whole.name], ["ink.safetensors", "mine"]);
  const [neither] = await readLoras([{ file: "other", hash: "ffff" }]);
  assert.equal(neither.file, "other.safetensors");
  await put("cat", "embedding", "the cat", { width: 4 });
  assert.deepEqual(await readEmbeddings([{ file: "cat" }]), [{ file: "cat.safetensors", bytes: bytesOf("the cat"), name: "cat" }]);
  disk.at(`glassine/shelf/${ink.sha256}`).bytes = bytesOf("the 1nk");
  await assert.rejects(readLoras([{ file: "ink" }]), { code: "model_damaged", hint: /remove\("ink"\)/ });
});

test("prompts take from the shelf what they name and nobody has given", async () => {
  const atHand = { loras: [], embeddings: [], embeddingWidth: 4 };
  const named = async (options, given = {}) => {
    const { loras, embeddings, warnings } = await readNamed({ prompt: "", ...options }, { ...atHand, ...given });
    return { loras: loras.map(({ name, strength }) => [name, strength]), embeddings: embeddings.map(({ name }) => name), warnings };
  };
  const none = { loras: [], embeddings: [], warnings: [] };
  assert.deepEqual(await named({ prompt: "<lora:ink:1> cat" }), none, "there is no shelf");
  await put("ink", "lora", "the ink");
  await put("My style", "lora", "the style");
  await put("cat", "embedding", "the cat", { width: 4 });
  await put("(old) v1.5", "embedding", "the old", { width: 4 });
  await put("wide", "embedding", "the wide", { width: 8 });

  assert.deepEqual(await named({ prompt: "category, widely, lora:ink, <lora>, <LORA:ink:1>" }), none);
  assert.deepEqual(await named({ prompt: "a <lora:INK:0.8> b <lyco: my style :unet=1> <lora:ink:1>" }), {
    ...none,
    loras: [["ink", 0], ["My style", 0]],
  });
  assert.deepEqual((await named({ foregroundPrompt: "x<lora:ink:1>", negativePrompt: "<lora:My style:1>" })).loras, [["ink", 0]]);
  const given = [{ file: "https://models.example/a/Ink.safetensors", name: undefined }];
  assert.deepEqual(await named({ prompt: "<lora:ink:1>" }, { loras: given }), none);
  assert.deepEqual(await named({ prompt: "<lora:pen:1>" }), {
    ...none,
    warnings: ["no LoRA on the shelf is called pen: there are ink, My style"],
  });

  assert.deepEqual((await named({ prompt: "a CAT, with (old) v1.5" })).embeddings, ["(old) v1.5", "cat"]);
  assert.deepEqual((await named({ negativePrompt: "embedding:cat.pt" })).embeddings, ["cat"]);
  assert.deepEqual(await named({ prompt: "cat" }, { embeddings: [{ file: "x.pt", name: "Cat" }] }), none);
  const { embeddings, warnings } = await named({ prompt: "a wide cat" });
  assert.deepEqual(embeddings, ["cat"]);
  assert.match(warnings.join(), /wide.*8 numbers and the model's 4/);
});
