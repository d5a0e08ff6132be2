// The demo page makes a layer anew in part, larger and wider: the brush, what comes of its mask, and what is kept of it.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { PNG } from "pngjs";
import { textIs } from "../lib/demo.js";
import { checkpoint } from "../lib/golden.js";
import { glassine, scratch } from "../lib/native.js";
import { disc, slopes, writePng } from "../lib/pictures.js";
import {
  addFiles,
  choose,
  clickInScene,
  downloadsTo,
  dragInScene,
  drawn,
  holding,
  layerNames,
  made,
  openWith,
  placement,
  ready,
  sceneBox,
  setPrompt,
  stored,
} from "../lib/studio.js";

const tile = [80, 60, () => [220, 60, 40, 255]];
const ball = [64, 64, disc(64, 64, [40, 120, 230])];
const query = "?device=cpu&steps=2";

/** Selects the topmost layer alone. */
const takeTop = (page) => page.click("#layers .name");

/** Waits until a mask is seen that has these values at these points of the layer: shares of 100, or ranges of them. */
async function maskIs(page, values) {
  const points = Object.keys(values).map((point) => point.split(",").map(Number));
  const ranges = Object.values(values).map((value) => (Array.isArray(value) ? value : [value, value]));
  const seen = (points) => {
    const context = document.querySelector(".stage > .mask")?.getContext("2d");
    return context && points.map(([x, y]) => Math.round(context.getImageData(x, y, 1, 1).data[3] / 1.4));
  };
  const limit = Date.now() + 10_000;
  for (;;) {
    const shares = await page.evaluate(seen, points);
    if (shares?.every((share, index) => share >= ranges[index][0] && share <= ranges[index][1])) return;
    assert.ok(Date.now() < limit, `${JSON.stringify(values)} is seen as ${shares}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const shareIs = (page, pattern) => textIs(page, "#mask-share", pattern);
const undo = (page) => holding(page, "Control", () => page.keyboard.press("z"));
const redo = (page) => holding(page, "Control", () => page.keyboard.press("y"));
const isUndone = (page) => page.waitForSelector("[aria-label=Undo][aria-disabled=true]");

/** The pixels of the selected layer's own picture, straight. */
async function pixels(page) {
  await page.waitForSelector("#download");
  const base64 = await page.$eval("#download", async ({ href }) => {
    const bytes = new Uint8Array(await (await fetch(href)).arrayBuffer());
    return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  });
  return PNG.sync.read(Buffer.from(base64, "base64"));
}

const pixel = ({ data, width }, x, y) => data.subarray(4 * (y * width + x), 4 * (y * width + x) + 4).join();

/** The places in which two pictures of one size differ. */
function differences(a, b) {
  assert.deepEqual([a.width, a.height], [b.width, b.height]);
  const places = Array.from({ length: a.width * a.height }, (_, index) => [index % a.width, Math.floor(index / a.width)]);
  return places.filter(([x, y]) => pixel(a, x, y) !== pixel(b, x, y));
}

/** Waits until something is made for the selected layer: another picture is seen. */
async function changed(page, act) {
  const href = () => page.$eval("#download", ({ href }) => href);
  const before = await href();
  await act();
  // However long it takes: the test's own time ends it.
  const patient = { timeout: 0 };
  await page.waitForFunction((before) => document.querySelector("#download")?.href !== before, patient, before);
  await page.waitForFunction(() => !document.querySelector("#queue"), patient);
}

test("the brush paints, erases and inverts the mask of a layer, each a step to undo", async (t) => {
  const page = await openWith(t, { tile });
  await takeTop(page);
  await page.focus("#stage");
  await page.keyboard.press("m");
  await shareIs(page, "Paint over");
  assert.ok(await page.$("#generate:disabled"), "there is nothing to make anew yet");
  await choose(page, "brushSize", "10");
  await choose(page, "brushHardness", "1");
  await dragInScene(page, [20, 30], [60, 30]);
  await shareIs(page, "^\\d+ % of it");
  await maskIs(page, { "40,30": 100, "40,27": 100, "40,40": 0, "10,30": 0 });

  // With a key the brush erases, with brackets it changes its size.
  await page.keyboard.press("e");
  assert.ok(await page.$("[name=brush][value=erase]:checked"));
  await page.keyboard.press("[");
  assert.equal(await page.$eval("[name=brushSize]", ({ value }) => value), "9");
  await clickInScene(page, [40, 30]);
  await maskIs(page, { "40,30": 0, "30,30": 100 });
  await page.keyboard.press("e");
  await page.keyboard.press("i");
  await maskIs(page, { "40,30": 100, "30,30": 0, "10,10": 100 });
  // Alt erases for once.
  await holding(page, "Alt", () => clickInScene(page, [10, 10]));
  await maskIs(page, { "10,10": 0, "70,50": 100 });

  await undo(page);
  await undo(page);
  await maskIs(page, { "40,30": 0, "30,30": 100, "10,10": 0 });
  await undo(page);
  await maskIs(page, { "40,30": 100 });
  await undo(page);
  await page.waitForFunction(() => !document.querySelector(".stage > .mask"));
  await redo(page);
  await redo(page);
  await maskIs(page, { "40,30": 0, "30,30": 100 });

  await page.click("#mask-fill");
  await shareIs(page, "^all of it");
  await page.click("#mask-clear");
  await shareIs(page, "Paint over");
  await undo(page);
  await shareIs(page, "^all of it");

  await page.click("#layers [name=locked]");
  await shareIs(page, "locked");
  await dragInScene(page, [20, 30], [60, 30]);
  await shareIs(page, "locked");
  await page.focus("#stage");
  await page.keyboard.press("Escape");
  assert.equal(await page.$("#mask-bar"), null);
});

test("the brush is where the pointer is on layers that are scaled, turned and flipped, and as wide", async (t) => {
  const page = await openWith(t, { ground: [400, 300, slopes(400, 300)], tile });
  await page.keyboard.press("Escape");
  await takeTop(page);
  // Twice as large, a quarter to the right, and mirrored: its left upper corner is at the right, below.
  await choose(page, "scale", "200");
  await choose(page, "rotate", "90");
  await page.click("[aria-label='Flip left and right']");
  const { rotate } = await placement(page);
  assert.ok(Math.abs(rotate) === 90, `${rotate}`);
  await page.focus("#stage");
  await page.keyboard.press("m");
  await choose(page, "brushSize", "20");
  await choose(page, "brushHardness", "1");
  // Ten pixels of the layer to the right of its middle, and ten more: on the screen twice as far, up or down.
  const way = await page.$eval(".scene > .layer:last-child", (layer) => {
    const { b } = new DOMMatrix(getComputedStyle(layer).transform);
    return Math.sign(b);
  });
  await dragInScene(page, [200, 150 + way * 20], [200, 150 + way * 40]);
  const [on, off] = [["50,30", "60,30", "54,34", "54,26"], ["54,36", "54,24", "66,30", "40,30", "20,30"]];
  await maskIs(page, Object.fromEntries([...on.map((point) => [point, 100]), ...off.map((point) => [point, 0])]));
  // And what is seen of it lies over the layer.
  const [layer, mask] = await page.evaluate(() =>
    [".scene > .layer:last-child", ".stage > .mask"].map((name) => {
      const { x, y, width, height } = document.querySelector(name).getBoundingClientRect();
      return [x, y, width, height].map(Math.round);
    }),
  );
  assert.deepEqual(mask, layer);
});

test("a mask comes from the layer's alpha, by touch and from a pen as from a mouse", async (t) => {
  const page = await openWith(t, { ball });
  await takeTop(page);
  await page.click("[aria-label^='Paint a mask']");
  await page.click("#mask-alpha");
  await maskIs(page, { "32,32": 100, "0,0": 0 });

  await page.click("#mask-clear");
  await choose(page, "brushSize", "8");
  const { x, y, zoom } = await sceneBox(page);
  const client = await page.createCDPSession();
  const touch = (type, ...points) =>
    client.send("Input.dispatchTouchEvent", {
      type,
      touchPoints: points.map(([left, top], id) => ({ x: x + left * zoom, y: y + top * zoom, id })),
    });
  await client.send("Emulation.setTouchEmulationEnabled", { enabled: true, maxTouchPoints: 2 });
  await touch("touchStart", [10, 20]);
  for (let step = 1; step <= 4; step++) await touch("touchMove", [10 + 8 * step, 20]);
  await touch("touchEnd");
  await maskIs(page, { "30,20": 100, "30,40": 0 });
  // Two fingers look around, and paint nothing.
  await touch("touchStart", [20, 40]);
  await touch("touchMove", [26, 40]);
  await touch("touchStart", [26, 40], [40, 50]);
  await touch("touchMove", [30, 44], [48, 56]);
  await touch("touchEnd");
  await client.send("Emulation.setTouchEmulationEnabled", { enabled: false });
  await maskIs(page, { "26,40": 0 });

  await page.keyboard.press("0");
  const pen = (type, left, force, buttons = 1) =>
    client.send("Input.dispatchMouseEvent", {
      type,
      x: x + left * zoom,
      y: y + 50 * zoom,
      button: "left",
      buttons,
      clickCount: 1,
      pointerType: "pen",
      force,
    });
  await choose(page, "brushSize", "16");
  await pen("mousePressed", 10, 0.1);
  for (let step = 1; step <= 8; step++) await pen("mouseMoved", 10 + 5 * step, step / 8);
  await pen("mouseReleased", 50, 0, 0);
  // The pressed pen paints wider.
  await maskIs(page, { "14,55": [0, 10], "48,55": [90, 100] });
});

test("what is masked is repainted, and all the rest is the same, bit for bit; one step undoes it", async (t) => {
  const page = await openWith(t, { ball }, { query });
  await ready(page);
  await takeTop(page);
  const before = await pixels(page);
  await page.focus("#stage");
  await page.keyboard.press("m");
  await choose(page, "brushSize", "20");
  await dragInScene(page, [24, 30], [38, 34]);
  await shareIs(page, "^\\d+ % of it");
  await textIs(page, "#generate", "^Repaint$");
  await textIs(page, ".chip", "^Repainting \\d+ % of ball");
  await choose(page, "maskSoftness", "2");
  await setPrompt(page, "a red apple");
  await changed(page, () => page.click("#generate"));
  const after = await pixels(page);
  const places = differences(before, after);
  assert.ok(places.length > 100, `${places.length} pixels are new`);
  for (const [x, y] of places) {
    const away = Math.hypot(x - Math.min(38, Math.max(24, x)), y - 32);
    assert.ok(away < 14, `${x}, ${y} was not masked`);
  }
  assert.equal(pixel(after, 0, 0), pixel(before, 0, 0), "with its colour under alpha 0");
  assert.deepEqual(await layerNames(page), ["ball"]);

  // As it was, as long as a key or a button is held.
  const shownNow = () => page.$eval(".scene > .layer canvas", ({ dataset }) => dataset.drawn);
  const isShown = (key, same) =>
    page.waitForFunction(
      (key, same) => {
        const drawn = document.querySelector(".scene > .layer canvas").dataset.drawn;
        return drawn && (drawn === key) === same;
      },
      {},
      key,
      same,
    );
  const repainted = await shownNow();
  await page.focus("#stage");
  await page.keyboard.down("c");
  await isShown(repainted, false);
  assert.equal(await page.$(".stage > .mask"), null, "without the tint");
  await page.keyboard.up("c");
  await isShown(repainted, true);
  await page.focus("#mask-bar [name=before]");
  await page.keyboard.down("Enter");
  await isShown(repainted, false);
  await page.keyboard.up("Enter");
  await isShown(repainted, true);

  await undo(page);
  await isShown(repainted, false);
  assert.equal(differences(before, await pixels(page)).length, 0);
  // The mask is there still.
  await maskIs(page, { "30,32": [90, 100] });
});

test("several variations of a repainting are made in one request, each with its seed, and its alpha is kept", async (t) => {
  const page = await openWith(t, { ball }, { query });
  await ready(page);
  await takeTop(page);
  const before = await pixels(page);
  await page.click("#repaint");
  await page.click("#mask-fill");
  await textIs(page, ".chip", "^Repainting all of ball");
  await page.click("[name=keepAlpha]");
  await choose(page, "seed", "40");
  await choose(page, "count", "3");
  await setPrompt(page, "a green leaf");
  await changed(page, async () => {
    await page.click("#generate");
    assert.equal(await page.$$eval("#queue li", ({ length }) => length), 1);
  });
  const alts = await page.$$eval("#variants img", (images) => images.map(({ alt }) => alt));
  assert.deepEqual(alts, ["Variation 1", "Variation 2, seed 40", "Variation 3, seed 41", "Variation 4, seed 42"]);
  assert.deepEqual(await page.$$eval("#variants small", (seeds) => seeds.map(({ textContent }) => textContent)), ["40", "41", "42"]);
  const after = await pixels(page);
  const alpha = ({ data }) => data.filter((_, index) => index % 4 === 3).join();
  assert.equal(alpha(after), alpha(before));
  assert.ok(differences(before, after).length > 1000);
  await page.$$eval("#variants input", ([, , , last]) => last.click());
  await textIs(page, ".made", "Seed\\s*42");
  await undo(page);
  await undo(page);
  await page.waitForFunction(() => !document.querySelector("#variants"));
  assert.equal(differences(before, await pixels(page)).length, 0);
});

test("of a picture that the model cannot make whole, the part around the mask is made, and the rest stays", async (t) => {
  const page = await openWith(t, { ground: [200, 150, slopes(200, 150)] }, { query });
  await ready(page);
  await takeTop(page);
  const before = await pixels(page);
  await page.click("#repaint");
  await choose(page, "brushSize", "30");
  await clickInScene(page, [150, 100]);
  await page.waitForSelector("[name=crops]:checked:disabled");
  await choose(page, "maskCrop", "10");
  await textIs(page, "#foretold", "^128 × 128");
  await changed(page, () => page.click("#generate"));
  const places = differences(before, await pixels(page));
  assert.ok(places.length > 100);
  assert.ok(places.every(([x, y]) => Math.hypot(x - 149.5, y - 99.5) < 16.5));
});

test("a layer is extended by its sides' handles, with what there was exactly where it was", async (t) => {
  const page = await openWith(t, { ball, small: [64, 64, disc(64, 64, [220, 60, 40])] }, { query });
  await ready(page);
  await takeTop(page);
  await choose(page, "x", "5");
  const before = await pixels(page);
  await page.focus("#stage");
  await page.keyboard.press("x");
  assert.ok(await page.$("#generate:disabled"));
  const { x, y, zoom } = await sceneBox(page);
  const pull = async (side, by) => {
    const handle = await (await page.waitForSelector(`[data-side=${side}]`)).boundingBox();
    const from = [handle.x + handle.width / 2, handle.y + handle.height / 2];
    await page.mouse.move(...from);
    await page.mouse.down();
    await page.mouse.move(from[0] + by[0] * zoom, from[1] + by[1] * zoom, { steps: 5 });
    await page.mouse.up();
  };
  await pull("left", [-3, 0]);
  await pull("bottom", [0, 9]);
  assert.deepEqual(
    await page.$$eval("#extend-bar input", (inputs) => inputs.map(({ value }) => value)),
    ["3", "0", "0", "9"],
  );
  await choose(page, "extend-bottom", "10");
  await textIs(page, ".chip", "^Extending small to 67 × 74");
  await textIs(page, "#generate", "^Extend$");
  await changed(page, () => page.click("#generate"));
  const after = await pixels(page);
  assert.deepEqual([after.width, after.height], [67, 74]);
  for (let row = 0; row < 64; row++) {
    for (let column = 0; column < 64; column++) {
      assert.equal(pixel(after, column + 3, row), pixel(before, column, row), `${column}, ${row}`);
    }
  }
  assert.deepEqual((({ x, y, scale }) => [x, y, scale])(await placement(page)), [2, 0, 100]);
  assert.equal((await sceneBox(page)).width / (await sceneBox(page)).zoom, 64, "the scene is as it was: it was not filled");
  await undo(page);
  assert.equal(differences(before, await pixels(page)).length, 0);
  assert.deepEqual((({ x, y }) => [x, y])(await placement(page)), [5, 0]);
  assert.ok(x > 0 && y > 0);
});

test("a scene that a layer fills grows with it, in one step", async (t) => {
  const page = await openWith(t, { ball, above: [10, 10, () => [0, 0, 0, 255]] }, { query });
  await ready(page);
  await page.click("#layers li:nth-child(2) .name");
  await page.click("#extend");
  await textIs(page, "#extend-bar", "The scene grows with it");
  await choose(page, "extend-left", "8");
  await choose(page, "extend-top", "16");
  await changed(page, () => page.click("#generate"));
  const size = () => page.$eval(".world", ({ offsetWidth, offsetHeight }) => [offsetWidth, offsetHeight]);
  assert.deepEqual(await size(), [72, 80]);
  assert.deepEqual((({ x, y }) => [x, y])(await placement(page)), [0, 0]);
  await takeTop(page);
  assert.deepEqual((({ x, y }) => [x, y])(await placement(page)), [35, 43], "what lay above is over the same");
  await undo(page);
  assert.deepEqual(await size(), [64, 64]);
  assert.deepEqual((({ x, y }) => [x, y])(await placement(page)), [27, 27]);
});

test("what a model cannot do with a layer is said where it is done", async (t) => {
  const folder = scratch(t);
  const pack = join(folder, "pack");
  glassine("pack", "--model", checkpoint(folder), "--quantize", "f32", "--out", pack);
  const page = await openWith(t, { ball }, { query: "?model=/pack/&device=cpu", pack });
  await ready(page);
  await takeTop(page);
  await page.click("#repaint");
  await textIs(page, ".target-row", "This model makes no transparency");
  // A picture without transparency is none the worse for it.
  await addFiles(page, [writePng(folder, "ground.png", 64, 64, slopes(64, 64))]);
  await drawn(page, 2);
  await takeTop(page);
  await page.waitForFunction(() => !document.querySelector(".target-row")?.textContent.includes("transparency"));
});

test("a layer is enlarged at its extent, and that can be cancelled", async (t) => {
  const page = await openWith(t, { ball }, { query });
  await ready(page);
  await takeTop(page);
  await page.click("#enlarge");
  await page.waitForSelector("#queue .running");
  await page.click("#queue button");
  await page.waitForFunction(() => !document.querySelector("#queue"));
  await textIs(page, "#status", "Cancelled");
  assert.equal(await page.$("#variants"), null);

  await changed(page, () => page.click("#enlarge"));
  const large = await pixels(page);
  assert.deepEqual([large.width, large.height], [128, 128]);
  assert.deepEqual((({ x, y, scale }) => [x, y, scale])(await placement(page)), [0, 0, 50]);
  await undo(page);
  assert.equal((await pixels(page)).width, 64);
  assert.equal((await placement(page)).scale, 100);
});

test("masks, what layers were made from and what can be undone are there at the next visit", async (t) => {
  const page = await openWith(t, { ball }, { query });
  await ready(page);
  await takeTop(page);
  const before = await pixels(page);
  await page.click("#repaint");
  await clickInScene(page, [32, 32]);
  await changed(page, () => page.click("#generate"));
  const after = await pixels(page);
  await page.waitForSelector(stored);
  await page.reload();
  await page.waitForSelector("#layers li");
  await ready(page);
  await takeTop(page);
  assert.equal(differences(after, await pixels(page)).length, 0);
  await page.click("#repaint");
  await page.waitForSelector(".stage > .mask");
  await maskIs(page, { "32,32": 100, "0,0": 0 });
  // From the same picture, by the same mask.
  await changed(page, () => page.click("#again"));
  const other = await pixels(page);
  assert.ok(differences(after, other).length > 100);
  assert.ok(differences(before, other).every(([x, y]) => Math.hypot(x - 31.5, y - 31.5) < 18));

  for (let step = 0; step < 2; step++) await undo(page);
  assert.equal(differences(before, await pixels(page)).length, 0);
  await undo(page);
  await page.waitForFunction(() => !document.querySelector(".stage > .mask"));
  await undo(page);
  await page.waitForFunction(() => document.querySelectorAll("#layers li").length === 0);
  await isUndone(page);
  // What was undone can be done again at the next visit, too.
  await page.waitForSelector(stored);
  await page.reload();
  await page.waitForSelector("[aria-label=Redo]:not([aria-disabled=true])");
  await page.focus("#stage");
  for (let step = 0; step < 3; step++) await redo(page);
  await drawn(page, 1);
  await takeTop(page);
  assert.equal(differences(after, await pixels(page)).length, 0);
});

test("a scene's file has masks and what layers were made from, and a repainting goes on from there", async (t) => {
  const page = await openWith(t, { ball }, { query });
  await ready(page);
  await takeTop(page);
  const before = await pixels(page);
  await page.click("#repaint");
  await clickInScene(page, [20, 32]);
  await changed(page, () => page.click("#generate"));
  await page.keyboard.press("Escape");
  const folder = scratch(t);
  const download = await downloadsTo(page, folder);
  await page.click("#export summary");
  const file = await download("#scene-zip", "untitled.glassine.zip");
  const archive = readFileSync(file).toString("latin1");
  const scene = JSON.parse(/\{\s*"glassine"[^]*?\n\}/.exec(archive)[0]);
  const [layer] = scene.layers;
  assert.deepEqual(
    [layer.image, layer.mask, layer.recipe.init, layer.recipe.mask],
    ["ball.png", "ball-mask.png", "ball-before.png", "ball-mask.png"],
  );
  for (const name of ["ball.png", "ball-mask.png", "ball-before.png"]) assert.ok(archive.includes(name));
  await page.keyboard.press("Escape");

  await page.focus("#stage");
  await holding(page, "Control", () => page.keyboard.press("a"));
  await page.keyboard.press("Delete");
  await page.waitForFunction(() => !document.querySelector("#layers li"));
  await addFiles(page, [file]);
  await drawn(page, 1);
  await takeTop(page);
  await page.click("#repaint");
  await page.waitForSelector(".stage > .mask");
  await maskIs(page, { "20,32": 100, "60,60": 0 });
  const reopened = await pixels(page);
  await changed(page, () => page.click("#again"));
  const other = await pixels(page);
  assert.ok(differences(reopened, other).length > 100);
  assert.ok(differences(before, other).every(([x, y]) => Math.hypot(x - 19.5, y - 31.5) < 18));
  await made(page, 1);
});
