// Scenes: layers placed, ordered, mixed, saved and read.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { PNG } from "pngjs";
import { glassine, scratch } from "../lib/native.js";
import { open } from "../lib/open.js";

/** A picture of this size in every colour and alpha, the same on every run. */
function noise(width, height, seed) {
  const png = new PNG({ width, height });
  let state = seed;
  for (let i = 0; i < png.data.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    png.data[i] = state >>> 24;
  }
  return PNG.sync.write(png);
}

const pictures = { "a.png": noise(40, 30, 1), "b.png": noise(25, 50, 2), "more/c.png": noise(16, 16, 3) };

const layers = [
  { image: "a.png", x: 3, y: -4, opacity: 0.8 },
  { name: "turned", image: "b.png", x: 10, y: 5.5, scale: 1.7, rotate: 33, flip: true, blend: "soft-light" },
  { image: "more/c.png", x: 30, y: 20, scale: 0.4, blend: "luminosity", operator: "source-atop" },
  { image: "a.png", x: 0, y: 0, visible: false },
  {
    opacity: 0.6,
    blend: "multiply",
    rotate: -10,
    layers: [
      { image: "more/c.png", x: 20, y: 20, scale: 2 },
      { image: "b.png", x: 25, y: 0, operator: "xor" },
    ],
  },
];

const scenes = {
  empty: { width: 5, height: 4, background: "#10203040", layers: [] },
  srgb: { width: 64, height: 48, layers },
  linear: { width: 64, height: 48, background: "#3366cc", space: "linear", layers },
};

for (const [name, scene] of Object.entries(scenes)) {
  test(`flattening gives the bytes of glassine compose: ${name}`, async (t) => {
    const folder = scratch(t);
    glassineCompose(folder, { glassine: 1, ...scene });
    const page = await open(t);
    const { png, rgba, size } = await page.evaluate(flattenFile, JSON.stringify(scene), encoded(pictures));

    const expected = readFileSync(join(folder, "flat.png"));
    assert.deepEqual(Buffer.from(png), expected);
    assert.deepEqual(rgba, Array.from(PNG.sync.read(expected).data));
    assert.deepEqual(size, [scene.width, scene.height]);
  });
}

test("exported scenes are the bytes of glassine compose", async (t) => {
  const folder = scratch(t);
  const [plain, turned, , hidden, group] = layers;
  const inGroup = { ...group, layers: group.layers.map(({ operator, ...layer }) => layer) };
  const scene = { glassine: 1, width: 64, height: 48, background: "#3366cc", layers: [plain, turned, hidden, inGroup] };
  const page = await open(t);
  for (const format of ["ora", "psd", "zip", "webp"]) {
    glassineCompose(folder, scene, `scene.${format}`);
    const { type, bytes } = await page.evaluate(exportFile, JSON.stringify(scene), encoded(pictures), format);
    const types = { ora: "image/openraster", psd: "image/vnd.adobe.photoshop", zip: "application/zip", webp: "image/webp" };
    assert.equal(type, types[format]);
    assert.ok(Buffer.from(bytes).equals(readFileSync(join(folder, `scene.${format}`))), format);
  }
});

test("files are opened as glassine compose opens them", async (t) => {
  const folder = scratch(t);
  const [plain, turned, , hidden, group] = layers;
  const inGroup = { ...group, name: "both", layers: group.layers.map(({ operator, ...layer }) => layer) };
  const scene = { glassine: 1, width: 64, height: 48, layers: [{ ...plain, name: "Lower" }, turned, hidden, inGroup], own: [1] };
  const page = await open(t);
  for (const format of ["ora", "psd", "zip", "webp"]) {
    const file = join(folder, `scene.${format}`);
    glassineCompose(folder, scene, `scene.${format}`);
    glassine("compose", file, "--out", join(folder, "again.png"));
    glassine("compose", file, "--out", join(folder, format, "scene.json"));
    const bytes = Array.from(readFileSync(file));
    const { json, warnings, png } = await page.evaluate(openFile, bytes, `scene.${format}`);
    assert.deepEqual(json, JSON.parse(readFileSync(join(folder, format, "scene.json"), "utf8")), format);
    assert.deepEqual(warnings, []);
    assert.deepEqual(Buffer.from(png), readFileSync(join(folder, "again.png")), format);
  }
  const { failures, aborted } = await page.evaluate(async () => {
    const failures = [];
    for (const [text, name] of [["8BPS", "a.psd"], ["hello", undefined], ["PK\x03\x04", "b.zip"]]) {
      failures.push(await failureOf(glassine.Scene.open(new File([text], "given.bin"), { name })));
    }
    const controller = new AbortController();
    const opening = failureOf(glassine.Scene.open(new Blob(["8BPS"]), { signal: controller.signal }));
    controller.abort();
    return { failures, aborted: await opening };
  });
  assert.deepEqual(failures.map(({ code }) => code), ["bad_image", "bad_image", "bad_image"]);
  for (const [index, message] of [/^a\.psd: /, /^given\.bin: /, /^b\.zip: /].entries()) assert.match(failures[index].message, message);
  assert.equal(aborted.code, "aborted");
});

/** Runs in the page. */
async function openFile(bytes, name) {
  const scene = await glassine.Scene.open(new File([new Uint8Array(bytes)], name));
  const flat = await scene.flatten();
  const png = new Uint8Array(await (await flat.toBlob()).arrayBuffer());
  const { warnings } = scene;
  const json = scene.toJSON();
  scene.dispose();
  return { json, warnings, png: Array.from(png) };
}

test("the layers of a scene are the sprites of glassine compose --sprites", async (t) => {
  const folder = scratch(t);
  const scene = { glassine: 1, width: 64, height: 48, layers };
  glassineCompose(folder, scene);
  glassine("compose", join(folder, "scene.json"), "--sprites", "--padding", "1", "--out", join(folder, "sheet.png"));
  const page = await open(t);
  const { json, png, own } = await page.evaluate(async (json, pictures) => {
    const images = Object.entries(pictures).map(([path, bytes]) => [path, new Blob([new Uint8Array(bytes)])]);
    const scene = glassine.Scene.fromJSON(json, new Map(images));
    const { json: sheet, picture } = await scene.toSpriteSheet({ padding: 1 });
    const png = Array.from(new Uint8Array(await (await picture.toBlob()).arrayBuffer()));
    const own = await glassine.toSpriteSheet({ flat: await scene.flatten(), file: images[0][1] }, { trim: false });
    scene.dispose();
    return { json: sheet, png, own: own.json.frames };
  }, JSON.stringify(scene), encoded(pictures));
  assert.deepEqual(json, JSON.parse(readFileSync(join(folder, "sheet.json"), "utf8")));
  assert.deepEqual(Buffer.from(png), readFileSync(join(folder, "sheet.png")));
  assert.deepEqual(own.flat.sourceSize, { w: 64, h: 48 });
  assert.deepEqual([own.file.frame.w, own.file.frame.h, own.file.trimmed], [40, 30, false]);
});

test("a scene that a file of layers cannot express is refused, by the layer", async (t) => {
  const page = await open(t);
  const scene = { width: 64, height: 48, layers: [{ name: "odd", image: "a.png", blend: "exclusion" }] };
  const failure = await page.evaluate(
    (json, pictures) => {
      const scene = glassine.Scene.fromJSON(json, { "a.png": new Blob([new Uint8Array(pictures["a.png"])]) });
      return failureOf(scene.toOra());
    },
    JSON.stringify(scene),
    encoded(pictures),
  );
  assert.equal(failure.code, "bad_option");
  assert.match(failure.message, /odd.*exclusion/);
});

/** Runs in the page. */
async function exportFile(json, pictures, format) {
  const images = new Map();
  for (const [path, bytes] of Object.entries(pictures)) images.set(path, new Blob([new Uint8Array(bytes)]));
  const scene = glassine.Scene.fromJSON(json, images);
  const make = {
    ora: () => scene.toOra(),
    psd: () => scene.toPsd(),
    zip: () => scene.toFile(),
    webp: async () => (await scene.flatten()).toWebp(),
  };
  const file = await make[format]();
  scene.dispose();
  return { type: file.type, bytes: Array.from(new Uint8Array(await file.arrayBuffer())) };
}

/** Writes a scene with its pictures, and what is made of it, into a folder. */
function glassineCompose(folder, scene, out = "flat.png") {
  for (const [path, bytes] of Object.entries(pictures)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), bytes);
  }
  writeFileSync(join(folder, "scene.json"), JSON.stringify(scene));
  glassine("compose", join(folder, "scene.json"), "--out", join(folder, out));
}

/** Pictures on their way into the page. */
function encoded(pictures) {
  return Object.fromEntries(Object.entries(pictures).map(([path, bytes]) => [path, Array.from(bytes)]));
}

/** Runs in the page. */
async function flattenFile(json, pictures) {
  const images = new Map();
  for (const [path, bytes] of Object.entries(pictures)) images.set(path, new Blob([new Uint8Array(bytes)]));
  const scene = glassine.Scene.fromJSON(json, images);
  const flat = await scene.flatten();
  const png = new Uint8Array(await (await flat.toBlob()).arrayBuffer());
  scene.dispose();
  return { png: Array.from(png), rgba: Array.from(flat.imageData.data), size: [flat.width, flat.height] };
}

test("a scene that was built is the scene file that it writes", async (t) => {
  const page = await open(t);
  const { json, same, images } = await page.evaluate(async () => {
    const scene = new glassine.Scene(8, 6, { background: "#ff0000" });
    const red = new ImageData(new Uint8ClampedArray([255, 0, 0, 255]), 1, 1);
    scene.add(red, { name: "Red dot!", x: 1, opacity: 0.5, recipe: { prompt: "a dot", seed: 3 } });
    const group = scene.addGroup({ name: "both", blend: "screen" });
    scene.add(red, { name: "red dot", flip: undefined }, { inside: group });
    scene.add(new Blob([], { type: "image/webp" }), {}, "bottom");
    const json = JSON.stringify(scene);
    const copy = glassine.Scene.fromJSON(json, scene.images);
    return { json: JSON.parse(json), same: JSON.stringify(copy) === json, images: [...copy.images.keys()] };
  });
  const plain = { x: 0, y: 0, scale: 1, rotate: 0, flip: false, opacity: 1, blend: "normal", operator: "source-over", visible: true };
  assert.deepEqual(json, {
    glassine: 1,
    width: 8,
    height: 6,
    background: "#ff0000",
    space: "srgb",
    layers: [
      { ...plain, image: "layer.webp" },
      { ...plain, name: "Red dot!", image: "red-dot.png", x: 1, opacity: 0.5, recipe: { prompt: "a dot", seed: 3 } },
      { ...plain, name: "both", blend: "screen", layers: [{ ...plain, name: "red dot", image: "red-dot-2.png" }] },
    ],
  });
  assert.ok(same);
  assert.deepEqual(images, ["layer.webp", "red-dot.png", "red-dot-2.png"]);
});

test("fields that are not known survive", async (t) => {
  const page = await open(t);
  const file = {
    width: 2,
    height: 2,
    author: { name: "somebody" },
    layers: [{ image: "a.png", locked: true, recipe: { prompt: "a", lora: ["x"] }, layers: undefined }, { layers: [{ layers: [], tag: 1 }] }],
  };
  const json = await page.evaluate((file) => glassine.Scene.fromJSON(file).toJSON(), file);
  assert.deepEqual(json.author, file.author);
  assert.equal(json.layers[0].locked, true);
  assert.deepEqual(json.layers[0].recipe, { prompt: "a", lora: ["x"] });
  assert.equal(json.layers[1].layers[0].tag, 1);
});

test("layers are put above, below and into each other, moved and removed", async (t) => {
  const page = await open(t);
  const result = await page.evaluate(() => {
    const scene = new glassine.Scene(1, 1);
    const names = (layers) => layers.map(({ name, layers }) => (layers ? `${name}(${names(layers)})` : name)).join(" ");
    const order = [];
    const note = () => order.push(names(scene.layers));
    const add = (name, place) => scene.add(new ImageData(1, 1), { name }, place);
    const codeOf = (action) => {
      try {
        action();
      } catch ({ code }) {
        return code;
      }
    };
    const b = add("b");
    const d = add("d", { above: b });
    add("c", { below: d });
    const a = add("a", "bottom");
    note();
    scene.move(a, "top");
    note();
    const group = scene.addGroup({ name: "g" }, { above: b });
    scene.move(d, { inside: group });
    scene.move(a, { below: d });
    note();
    const refused = [
      codeOf(() => scene.move(group, { inside: group })),
      codeOf(() => scene.move(group, { above: d })),
      codeOf(() => scene.move(b, { inside: a })),
      codeOf(() => scene.remove({ ...b })),
      codeOf(() => add("e", { above: { ...b } })),
      codeOf(() => scene.add("apple.png")),
    ];
    note();
    const images = scene.images.size;
    scene.remove(group);
    note();
    return { order, refused, images: [images, scene.images.size] };
  });
  assert.deepEqual(result.order, ["a b c d", "b c d a", "b g(a d) c", "b g(a d) c", "b c"]);
  assert.deepEqual(result.refused, [...Array(5).fill("bad_option"), "bad_image"]);
  assert.deepEqual(result.images, [4, 2]);
});

test("a generated layer brings its recipe and its role along", async (t) => {
  const page = await open(t);
  const { recipe, layer, info, decoded } = await page.evaluate(async () => {
    const engine = await glassine.createEngine({ model: "mini", device: "cpu" });
    const { layers, latent } = await engine.generate({
      prompt: "a red apple",
      negativePrompt: undefined,
      seed: 9,
      steps: 1,
      decodePasses: 1,
      onProgress() {},
    });
    const scene = new glassine.Scene(64, 64);
    scene.add(layers[0], { name: "apple" });
    const { recipe } = await engine.decode(latent, { passes: 1 });
    return { recipe: layers[0].recipe, layer: scene.toJSON().layers[0], info: engine.info, decoded: recipe };
  });
  const { guidance, sampler, clipSkip, width, height } = info.defaults;
  assert.deepEqual(recipe, {
    prompt: "a red apple",
    mode: "single",
    seed: 9,
    steps: 1,
    guidance,
    sampler,
    clipSkip,
    width,
    height,
    decodePasses: 1,
    model: `sha256:${info.sha256}`,
  });
  assert.deepEqual(layer.recipe, recipe);
  assert.equal(layer.role, "foreground");
  assert.equal(decoded, undefined);
});

test("masks and what layers were made from are in a scene's one file, under the paths by which recipes name them", async (t) => {
  const page = await open(t);
  const result = await page.evaluate(async () => {
    const of = (...colour) => new ImageData(new Uint8ClampedArray([...colour, ...colour]), 2, 1);
    const scene = new glassine.Scene(2, 1);
    const file = await (async () => {
      const only = new glassine.Scene(2, 1);
      only.add(of(1, 2, 3, 0));
      return (await only.flatten()).toBlob();
    })();
    const mask = scene.addPicture(of(255, 255, 255, 255), "Apple, mask");
    const recipe = { prompt: "an apple", init: scene.addPicture(file, "apple before"), mask, control: "not a picture" };
    const group = scene.addGroup();
    const layer = scene.add(of(9, 8, 7, 6), { name: "apple", mask, recipe }, { inside: group });
    scene.addPicture(of(0, 0, 0, 0), "nobody's");
    const paths = [...scene.images.keys()];
    const zip = await scene.toFile();
    const opened = await glassine.Scene.open(zip);
    const pixels = async (picture) => {
      const bitmap = await createImageBitmap(picture instanceof Blob ? picture : picture.imageData);
      const context = new OffscreenCanvas(2, 1).getContext("2d");
      context.drawImage(bitmap, 0, 0);
      return [...context.getImageData(0, 0, 1, 1).data];
    };
    const [inner] = opened.layers[0].layers;
    const seen = await Promise.all([inner.image, inner.mask, inner.recipe.init].map((path) => pixels(opened.images.get(path))));
    const [written, read] = [scene, opened].map((each) => each.toJSON());
    // As it was opened it is written again; what cannot be without the layers' pictures is as before.
    const again = await glassine.Scene.open(await opened.toFile());
    const bytes = async (blob) => new TextDecoder("latin1").decode(await blob.arrayBuffer());
    const archive = await bytes(await scene.toOra());
    // A path that leads out of the archive is refused, as those of layers are.
    layer.mask = "../mask.png";
    const beside = new Map([...scene.images, ["../mask.png", file]]);
    const out = await failureOf(glassine.Scene.fromJSON(JSON.stringify(scene), beside).toFile());
    layer.mask = mask;
    scene.remove(group);
    return { paths, seen, written, read, again: [...again.images.keys()], hasPath: archive.includes("apple-mask"), out, left: scene.images.size };
  });
  assert.deepEqual(result.paths, ["apple.png", "apple-mask.png", "apple-before.png"]);
  assert.deepEqual(result.seen.slice(1), [[255, 255, 255, 255], [0, 0, 0, 0]]);
  assert.deepEqual(result.read, result.written);
  assert.deepEqual(result.again.sort(), ["apple-before.png", "apple-mask.png", "apple.png"]);
  assert.equal(result.hasPath, false, "OpenRaster's pictures have recipes without pictures");
  assert.equal(result.out.code, "bad_option");
  assert.match(result.out.message, /\.\.\/mask\.png/);
  assert.equal(result.left, 0);
});

test("a scene starts its worker when it is flattened, without a model, and dispose ends it", async (t) => {
  const page = await open(t);
  const fetched = [];
  page.on("request", (request) => fetched.push(request.url()));
  await page.evaluate(() => {
    window.scene = new glassine.Scene(2, 2);
    scene.add(new ImageData(1, 1));
    scene.toJSON();
  });
  assert.equal(page.workers().length, 0);
  await page.evaluate(() => Promise.all([scene.flatten(), scene.flatten()]));
  assert.equal(page.workers().length, 1);
  assert.ok(!fetched.some((url) => url.includes("/models/")), "no model is read");

  const failures = await page.evaluate(async () => {
    const running = failureOf(scene.flatten());
    scene[Symbol.dispose]();
    return [await running, await failureOf(scene.flatten())];
  });
  for (const { code } of failures) assert.equal(code, "disposed");
  if (page.workers().length > 0) await new Promise((resolve) => page.once("workerdestroyed", resolve));
});

test("what cannot be flattened is refused with the reason, and the scene goes on", async (t) => {
  const page = await open(t);
  const { failures, aborted, size } = await page.evaluate(async () => {
    const scene = new glassine.Scene(2, 2);
    const layer = scene.add(new ImageData(1, 1), { name: "dot" });
    const failures = {};
    for (const [field, value, good] of [["opacity", 2, 1], ["blend", "magic", "normal"], ["x", NaN, 0], ["image", "nowhere.png", layer.image]]) {
      layer[field] = value;
      failures[field] = await failureOf(scene.flatten());
      layer[field] = good;
    }
    scene.width = 0;
    failures.width = await failureOf(scene.flatten());
    scene.width = 2;
    const text = scene.add(new Blob(["no picture"]), { name: "text" });
    failures.picture = await failureOf(scene.flatten());
    scene.remove(text);
    const aborted = [await failureOf(scene.flatten({ signal: AbortSignal.abort() }))];
    const controller = new AbortController();
    const flat = failureOf(scene.flatten({ signal: controller.signal }));
    controller.abort();
    aborted.push(await flat);
    return { failures, aborted, size: (await scene.flatten()).width };
  });
  const expected = {
    opacity: ["bad_option", /dot.*opacity is 2/],
    blend: ["bad_option", /magic/],
    x: ["bad_option", /null/],
    image: ["bad_image", /nowhere\.png/],
    width: ["bad_option", /width of the scene is 0/],
    picture: ["bad_image", /text\.png/],
  };
  for (const [name, [code, message]] of Object.entries(expected)) {
    assert.equal(failures[name].code, code, name);
    assert.match(failures[name].message, message);
  }
  for (const { code, name } of aborted) assert.deepEqual([code, name], ["aborted", "AbortError"]);
  assert.equal(size, 2);
});

test("a setting that another library calls so, and a place that is none, are refused; a page's own names stay", async (t) => {
  const page = await open(t);
  const { failures, kept, order } = await page.evaluate(async () => {
    const picture = new ImageData(1, 1);
    const scene = new glassine.Scene(4, 4);
    const [group, layer] = [scene.addGroup({ name: "group" }), scene.add(picture, { name: "layer" })];
    const failureOf = (call) => {
      try {
        call();
      } catch ({ code, message, hint }) {
        return [code, `${message}: ${hint}`];
      }
    };
    const failures = {
      blend: failureOf(() => scene.add(picture, { blendMode: "multiply" })),
      rotate: failureOf(() => scene.add(picture, { rotation: 45 })),
      opacity: failureOf(() => scene.addGroup({ alpha: 0.5 })),
      name: failureOf(() => scene.add(picture, { name: 5 })),
      settings: failureOf(() => scene.add(picture, "apple")),
      numbers: failureOf(() => scene.add(picture, 40, 10)),
      place: failureOf(() => scene.add(picture, {}, "front")),
      moved: failureOf(() => scene.move(layer, "front")),
      inside: failureOf(() => scene.move(group, { inside: group })),
      size: failureOf(() => new glassine.Scene({ width: 4, height: 4 })),
    };
    const { tag } = scene.add(picture, { tag: "mine", z: 3 });
    layer.opacity = NaN;
    failures.flatten = await scene.flatten().then(() => undefined, ({ code, message }) => [code, message]);
    return { failures, kept: tag, order: scene.layers.map(({ name }) => name) };
  });
  const expected = {
    blend: /"blendMode".*Did you mean blend\?/,
    rotate: /"rotation".*Did you mean rotate\?/,
    opacity: /"alpha".*Did you mean opacity\?/,
    name: /name must be a string/,
    settings: /not "apple"/,
    numbers: /not 40/,
    place: /"front".*"top"/,
    moved: /"front".*"top"/,
    inside: /itself/,
    size: /not an object/,
    flatten: /layers\[1\]\.opacity/,
  };
  for (const [name, message] of Object.entries(expected)) {
    assert.equal(failures[name]?.[0], "bad_option", name);
    assert.match(failures[name][1], message);
  }
  assert.equal(kept, "mine");
  assert.deepEqual(order.slice(0, 2), ["group", "layer"], "what is refused moves nothing");
});

test("a text that is no scene", async (t) => {
  const page = await open(t);
  const deep = `${'{"layers":['.repeat(50_000)}${"]}".repeat(50_000)}`;
  const texts = ["", "null", "[]", '{"layers":{}}', '{"layers":[1]}', '{"glassine":2}', deep];
  const codes = await page.evaluate((texts) => texts.map((text) => {
    try {
      glassine.Scene.fromJSON(text);
    } catch ({ code }) {
      return code;
    }
  }), texts);
  assert.deepEqual(codes, texts.map(() => "bad_option"));
});
