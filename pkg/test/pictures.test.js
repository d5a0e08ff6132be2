// Pictures on their way to the workers, and what comes back as a PNG.

import assert from "node:assert/strict";
import { mock, test } from "node:test";

/** As a browser has it, of 8 bits. */
class FakeImageData {
  constructor(data, width, height, { colorSpace = "srgb" } = {}) {
    assert.equal(data.length, width * height * 4);
    Object.assign(this, { data, width, height, colorSpace });
  }
}

/** A worker whose calls the test answers. */
class FakeWorker {
  static all = [];
  calls = [];
  terminated = false;

  constructor(url) {
    this.url = url;
    FakeWorker.all.push(this);
  }

  postMessage(message) {
    if (message.type === "start") this.assets = message.assets;
    else this.calls.push(structuredClone(message));
  }

  terminate() {
    this.terminated = true;
  }

  answers(answer) {
    this.onmessage({ data: { type: "done", answer } });
  }

  fails(error) {
    this.onmessage({ data: { type: "failed", error } });
  }
}

mock.timers.enable({ apis: ["setTimeout"] });
Object.assign(globalThis, { ImageData: FakeImageData, Worker: FakeWorker });
const { Scene } = await import("../dist/index.js");
const { toRawPicture } = await import("../dist/internal/page/pictures.js");
const { Layer } = await import("../dist/public/layer.js");
const { Raster } = await import("../dist/public/raster.js");

const turn = () => new Promise((resolve) => setImmediate(resolve));
// Colour under alpha 0, which has to stay.
const pixels = () => Uint8Array.from([255, 0, 0, 0, 1, 2, 3, 128]);
const imageData = (options) => new FakeImageData(new Uint8ClampedArray(pixels()), 2, 1, options);

test("an ImageData becomes a copy of its straight pixels", async () => {
  const image = imageData();
  const raw = await toRawPicture(image);
  assert.deepEqual(raw, { width: 2, height: 1, rgba: pixels() });
  image.data[0] = 9;
  assert.equal(raw.rgba[0], 255);
});

test("a layer and a flattened scene are their pixels", async () => {
  const raster = new Raster({ width: 2, height: 1, rgba: pixels() });
  const layer = new Layer({ width: 2, height: 1, rgba: pixels(), role: "image", seed: 1 });
  for (const picture of [raster, layer]) {
    assert.deepEqual(await toRawPicture(picture), { width: 2, height: 1, rgba: pixels() });
    assert.equal(picture.imageData.data.length, 8);
  }
});

test("a file goes to the worker as it is, whatever is in it", async () => {
  const raw = await toRawPicture(new Blob([pixels().subarray(0, 3), pixels().subarray(3)], { type: "image/png" }));
  assert.deepEqual(raw, pixels());
});

test("what is no picture is refused, with the name of the option", async () => {
  for (const image of [undefined, null, "", "apple.png", 7, {}, { imageData: {} }, pixels()]) {
    await assert.rejects(toRawPicture(image, { name: "init" }), { code: "bad_image", message: /^init /, hint: /Give a Layer/ });
    assert.throws(() => new Scene(8, 8).add(image), { code: "bad_image" });
  }
});

test("a picture at a URL is fetched when it is needed, and what is wrong names the URL", async (t) => {
  const png = Uint8Array.from([0x89, 0x50, 0x4e, 0x47]);
  const { fetch } = globalThis;
  t.after(() => (globalThis.fetch = fetch));
  globalThis.fetch = async (url) => {
    if (url.pathname === "/apple.png") return new Response(png);
    if (url.pathname === "/gone.png") return new Response("", { status: 404 });
    throw new TypeError("Failed to fetch");
  };
  for (const url of ["https://site.example/apple.png", new URL("https://site.example/apple.png")]) {
    assert.deepEqual(await toRawPicture(url), png);
  }
  await assert.rejects(toRawPicture("https://site.example/gone.png"), { code: "bad_image", message: /gone\.png \(HTTP 404\)/ });
  await assert.rejects(toRawPicture("https://site.example/x.png", { name: "mask" }), { code: "network", message: /^mask .*x\.png/, hint: /CORS/ });
  await assert.rejects(toRawPicture("./apple.png"), { code: "bad_image", message: /apple\.png/ }, "Node has no base");
  const signal = AbortSignal.abort();
  await assert.rejects(toRawPicture("https://site.example/x.png", { signal }), { code: "aborted" });
});

test("pixels of another colour space or depth are not taken for sRGB bytes", async () => {
  await assert.rejects(toRawPicture(imageData({ colorSpace: "display-p3" })), { code: "bad_image", hint: /colorSpace/ });
  const floats = new FakeImageData(new Float32Array(8), 2, 1);
  await assert.rejects(toRawPicture(floats), { code: "bad_image", message: /8 bits/ });
  const old = imageData();
  delete old.colorSpace;
  assert.deepEqual((await toRawPicture(old)).rgba, pixels());
});

test("pixels in the middle of a buffer are shown without a copy", () => {
  const buffer = new Uint8Array(24);
  buffer.set(pixels(), 8);
  const raster = new Raster({ width: 2, height: 1, rgba: buffer.subarray(8, 16) });
  assert.deepEqual(new Uint8Array(raster.imageData.data), pixels());
  assert.equal(raster.imageData.data.buffer, buffer.buffer);
});

const raster = () => new Raster({ width: 2, height: 1, rgba: pixels() });
const png = Uint8Array.from([0x89, 0x50, 0x4e, 0x47]);
const workers = () => FakeWorker.all.filter(({ terminated }) => !terminated);

/** The one worker that encodes. */
function encoder() {
  assert.equal(workers().length, 1);
  // Node's modules are of no origin, so that the worker is a script that imports the real one.
  assert.match(workers()[0].url, /^blob:/);
  assert.deepEqual(workers()[0].assets, {});
  return workers()[0];
}

test("a PNG is encoded once, from straight pixels", async () => {
  const picture = raster();
  const first = picture.toBlob();
  const second = picture.toBlob();
  assert.deepEqual(encoder().calls.at(-1), { type: "png", width: 2, height: 1, rgba: pixels() });
  encoder().answers(png);
  const blob = await first;
  assert.equal(blob.type, "image/png");
  assert.deepEqual(new Uint8Array(await blob.arrayBuffer()), png);
  assert.equal(await second, blob);
  assert.equal(await picture.toBlob(), blob);
  assert.equal(encoder().calls.length, 1);
});

test("pictures are encoded one after the other by one worker, as they were when it was asked for", async () => {
  const [a, b] = [raster(), raster()];
  const before = encoder().calls.length;
  const blobs = [a.toBlob(), b.toBlob()];
  assert.equal(encoder().calls.length, before + 1);
  b.imageData.data.fill(9);
  encoder().answers(png);
  await blobs[0];
  await turn();
  assert.deepEqual(encoder().calls.at(-1).rgba, pixels());
  encoder().answers(png.subarray(0, 2));
  assert.equal((await blobs[1]).size, 2);
});

test("a PNG that could not be encoded can be asked for again", async () => {
  const picture = raster();
  const failing = picture.toBlob();
  encoder().fails({ code: "bad_image", message: "no" });
  await assert.rejects(failing, { code: "bad_image" });
  await turn();
  const again = picture.toBlob();
  encoder().answers(png);
  assert.equal((await again).size, 4);
});

test("the worker ends when no picture has come for a while, and the next one starts another", async () => {
  const first = encoder();
  mock.timers.tick(4999);
  assert.equal(first.terminated, false);
  mock.timers.tick(1);
  assert.ok(first.terminated);

  const picture = raster().toBlob();
  mock.timers.tick(60_000);
  assert.notEqual(encoder(), first, "not while it encodes");
  encoder().answers(png);
  assert.equal((await picture).size, 4);
});

test("groups that lie in themselves are an error with a code", () => {
  const scene = new Scene(4, 4);
  const layer = scene.add(imageData());
  const group = scene.addGroup();
  scene.move(layer, { inside: group });
  assert.throws(() => scene.move(group, { inside: group }), { code: "bad_option" });
  // Layers are plain data, which a page may change as it likes.
  group.layers.push(group);
  const stranger = { ...layer };
  const calls = [() => scene.toJSON(), () => scene.remove(stranger), () => scene.move(stranger, "top"), () => scene.add(imageData())];
  for (const call of calls) assert.throws(call, { name: "GlassineError", code: "bad_option" }, String(call));
});

test("groups are at most as deep as a scene file's", () => {
  const scene = new Scene(4, 4);
  let group = scene.addGroup();
  for (let depth = 1; depth < 32; depth++) group = scene.addGroup({}, { inside: group });
  assert.doesNotThrow(() => scene.toJSON());
  group.layers.push({ ...group, layers: [] });
  assert.throws(() => scene.toJSON(), { code: "bad_option", message: /more than 32 deep/ });
});
