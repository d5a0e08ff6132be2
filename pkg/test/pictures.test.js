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
const { readRecipe, Scene, toSpriteSheet } = await import("../dist/index.js");
const { toPixels, toRawPicture } = await import("../dist/internal/page/pictures.js");
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

test("a layer's files say how it was made, and a WebP is encoded beside the PNG", async () => {
  const recipe = { prompt: "an apple", seed: 7 };
  const layer = new Layer({ width: 2, height: 1, rgba: pixels(), role: "foreground", seed: 7 }, recipe);
  const webp = layer.toWebp();
  assert.deepEqual(encoder().calls.at(-1), { type: "webp", width: 2, height: 1, rgba: pixels(), recipe: JSON.stringify(recipe) });
  encoder().answers(png);
  assert.equal((await webp).type, "image/webp");
  assert.equal(await layer.toWebp(), await webp);
  await turn();
  const trimmed = layer.trim().picture.toBlob();
  assert.equal(encoder().calls.at(-1).recipe, JSON.stringify(recipe));
  encoder().answers(png);
  await trimmed;
  await turn();
});

test("transparent edges are trimmed", () => {
  const rgba = new Uint8Array(4 * 5 * 4);
  for (const [x, y] of [[1, 2], [3, 1]]) rgba.set([9, 8, 7, x], 4 * (5 * y + x));
  const { picture, x, y } = new Raster({ width: 5, height: 4, rgba }).trim();
  assert.deepEqual([x, y, picture.width, picture.height], [1, 1, 3, 2]);
  const expected = new Uint8ClampedArray(24);
  expected.set([9, 8, 7, 3], 8);
  expected.set([9, 8, 7, 1], 12);
  assert.deepEqual(picture.imageData.data, expected);
  const nothing = new Raster({ width: 2, height: 2, rgba: new Uint8Array(16) }).trim();
  assert.deepEqual([nothing.x, nothing.y, nothing.picture.width, nothing.picture.height], [0, 0, 1, 1]);
});

test("pictures go into a sprite sheet by their names", async () => {
  const sheet = toSpriteSheet({ apple: raster(), pear: imageData() }, { padding: 0, image: "fruit.png" });
  await turn();
  const { pictures, ...call } = encoder().calls.at(-1);
  assert.deepEqual(call, { type: "sprites", image: "fruit.png", trim: true, padding: 0, maxSide: 4096 });
  assert.deepEqual([...pictures.keys()], ["apple", "pear"]);
  assert.deepEqual(pictures.get("pear").rgba, pixels());
  encoder().answers({ picture: { width: 2, height: 1, rgba: pixels() }, json: '{"frames":{},"meta":{}}' });
  const { picture, json } = await sheet;
  assert.deepEqual([picture.width, json.frames], [2, {}]);
  await turn();

  const list = toSpriteSheet([raster(), raster()]);
  await turn();
  assert.deepEqual([...encoder().calls.at(-1).pictures.keys()], ["0", "1"]);
  encoder().fails({ code: "bad_option", message: "no" });
  await assert.rejects(list, { code: "bad_option" });
  await turn();
  for (const [pictures, options, message] of [
    [{ a: 7 }, {}, /the sprite "a"/],
    ["a.png", {}, /takes pictures/],
    [{}, { padding: -1 }, /padding must be/],
    [{}, { trim: "yes" }, /trim must be/],
    [{}, { maxsize: 5 }, /no option "maxsize"/],
  ]) {
    await assert.rejects(toSpriteSheet(pictures, options), { name: "GlassineError", message });
  }
});

test("a scene's file is opened by what is in it", async () => {
  const others = new Set(workers());
  const opening = Scene.open(new File([png], "my apple.psd"));
  await turn();
  await turn();
  const worker = workers().find((one) => !others.has(one));
  const { file, ...call } = worker.calls.at(-1);
  assert.deepEqual(call, { type: "open", name: "my apple.psd" });
  assert.deepEqual(file, png);
  const json = { glassine: 1, width: 3, height: 2, background: "#112233", layers: [{ name: "a", image: "a.jpg" }, { image: "b.png" }], own: 5 };
  const images = new Map([["a.jpg", Uint8Array.from([0xff, 0xd8])], ["b.png", { width: 2, height: 1, rgba: pixels() }]]);
  worker.answers({ scene: JSON.stringify(json), images, warnings: ["a note"] });
  const scene = await opening;
  assert.deepEqual([scene.width, scene.height, scene.background, scene.warnings], [3, 2, "#112233", ["a note"]]);
  assert.equal(scene.images.get("a.jpg").type, "image/jpeg");
  assert.deepEqual(new Uint8Array(scene.images.get("b.png").imageData.data), pixels());
  assert.equal(scene.toJSON().own, 5);
  scene.dispose();
  assert.ok(worker.terminated);

  const bytes = Scene.open(png, { name: "x.ora" });
  await turn();
  await turn();
  const second = workers().find((one) => !others.has(one));
  assert.equal(second.calls.at(-1).name, "x.ora");
  second.fails({ code: "bad_image", message: "x.ora: no" });
  await assert.rejects(bytes, { code: "bad_image", message: "x.ora: no" });
  assert.ok(second.terminated, "a scene that could not be opened leaves no worker");

  await assert.rejects(Scene.open("scene.psd"), { code: "bad_image", message: /takes a file, not "scene.psd"/ });
  await assert.rejects(Scene.open(png, { title: "x" }), { code: "bad_option", message: /title/ });
  await assert.rejects(Scene.open(png, { name: 7 }), { code: "bad_option", message: /name must be/ });
  await assert.rejects(Scene.open(png, { signal: AbortSignal.abort() }), { code: "aborted" });
  assert.deepEqual(new Scene(1, 1).warnings, []);
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

test("a file that cannot be decoded is refused with the name of the option", async () => {
  for (const [use, message] of [[{ name: "mask" }, "mask: no PNG"], [{}, "no PNG"]]) {
    const failing = toPixels(new Blob([png]), use);
    await turn();
    encoder().fails({ code: "bad_image", message: "no PNG", hint: "Give a picture." });
    await assert.rejects(failing, { code: "bad_image", message, hint: "Give a picture." });
    await turn();
  }
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

test("how a picture was made is read in the worker that needs no engine", async (t) => {
  const { fetch } = globalThis;
  t.after(() => (globalThis.fetch = fetch));
  globalThis.fetch = async () => new Response(pixels());
  const json = '{"recipe":{"prompt":"a cat","__proto__":1},"others":[["Model","x"],["__proto__","y"]],"warnings":["w"]}';
  for (const file of [new Blob([pixels()]), pixels(), new URL("https://site.example/a.png"), "https://site.example/a.png"]) {
    const read = readRecipe(file);
    await turn();
    await turn();
    const worker = FakeWorker.all.at(-1);
    assert.deepEqual(worker.calls.at(-1), { type: "recipe", file: pixels() });
    worker.answers(json);
    const { recipe, others, warnings } = await read;
    assert.deepEqual([recipe.prompt, others.Model, warnings], ["a cat", "x", ["w"]]);
    assert.deepEqual(Object.keys(others), ["Model", "__proto__"], "names are a stranger's");
    assert.equal(Object.getPrototypeOf(others), Object.prototype);
  }
  const nothing = readRecipe(pixels());
  await turn();
  FakeWorker.all.at(-1).answers(undefined);
  assert.equal(await nothing, undefined);
  for (const file of [undefined, null, 7, {}, "apple.png", imageData()]) {
    await assert.rejects(readRecipe(file), { code: "bad_image", message: /^readRecipe takes a picture's file/ });
  }
  await assert.rejects(readRecipe(pixels(), { signal: AbortSignal.abort() }), { code: "aborted" });
  await assert.rejects(readRecipe(pixels(), { fast: true }), { code: "bad_option" });
});
