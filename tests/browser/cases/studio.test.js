// The demo page at work on a scene: pointer, keys, lists, files, and what is kept.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { PNG } from "pngjs";
import { openDemo, textIs } from "../lib/demo.js";
import { scratch } from "../lib/native.js";
import { disc, slopes, writePng } from "../lib/pictures.js";
import {
  addFiles,
  arrived,
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

const solid =
  (...colour) =>
  () => [...colour, 255];
const ground = [400, 300, slopes(400, 300)];
const tile = [80, 60, solid(220, 60, 40)];

const selectedNames = (page) =>
  page.$$eval("#layers [aria-pressed=true].name strong", (names) => names.map(({ textContent }) => textContent));

/** Drags the handle of this name by so many of the screen's pixels. */
async function dragHandle(page, name, [x, y]) {
  const box = await (await page.waitForSelector(`[data-handle="${name}"]`)).boundingBox();
  const [left, top] = [box.x + box.width / 2, box.y + box.height / 2];
  await page.mouse.move(left, top);
  await page.mouse.down();
  await page.mouse.move(left + x, top + y, { steps: 8 });
  await page.mouse.up();
}

test("as a person works: type, generate, choose, drag, undo, blend, save, and it is all there at the next visit, offline", async (t) => {
  const { page, site } = await openDemo(t, "?steps=2&device=cpu", undefined, { withSite: true, offline: true });
  await page.setViewport({ width: 1440, height: 900 });
  await ready(page);
  await setPrompt(page, "a red apple");
  await page.keyboard.press("Enter");
  await made(page, 1);
  await setPrompt(page, "a blue cup");
  await page.select("[name=count]", "2");
  await page.click("#generate");
  await made(page, 2);
  await page.waitForFunction(() => document.querySelectorAll("#variants input").length === 2);
  const shown = () => page.$eval(".scene > .layer:last-child canvas", ({ dataset }) => dataset.drawn);
  const first = await shown();
  await page.$$eval("#variants input", ([, second]) => second.click());
  await page.waitForFunction(
    (first) => document.querySelector(".scene > .layer:last-child canvas").dataset.drawn !== first,
    {},
    first,
  );
  const second = await shown();

  // It is taken hold of where it is; mini's pictures have their thing in the middle.
  const { width, zoom } = await sceneBox(page);
  const side = Math.round(width / zoom);
  await dragInScene(page, [side / 2, side / 2], [side / 2 + 12, side / 2 - 6]);
  const moved = await placement(page);
  assert.ok(Math.abs(moved.x - 12) < 1 && Math.abs(moved.y + 6) < 1, JSON.stringify(moved));
  await holding(page, "Control", () => page.keyboard.press("z"));
  assert.equal((await placement(page)).x, 0);
  await holding(page, "Control", () => page.keyboard.press("y"));
  assert.deepEqual(await placement(page), moved);

  await choose(page, "blend", "multiply");
  await choose(page, "opacity", "0.5");
  await textIs(page, "#layers small", "50 %, multiply");

  const folder = scratch(t);
  const download = await downloadsTo(page, folder);
  await page.click("#export summary");
  const png = PNG.sync.read(readFileSync(await download("#scene-png", "untitled.png")));
  assert.deepEqual([png.width, png.height], [side, side]);
  assert.equal(
    readFileSync(await download("#scene-ora", "untitled.ora"))
      .subarray(0, 2)
      .toString(),
    "PK",
  );
  assert.equal(
    readFileSync(await download("#scene-psd", "untitled.psd"))
      .subarray(0, 4)
      .toString(),
    "8BPS",
  );
  const saved = JSON.parse(readFileSync(await download("#scene-json", "untitled.json"), "utf8"));
  const { name, blend, opacity, image, recipe } = saved.layers[1];
  assert.deepEqual(
    [name, blend, opacity, image, recipe.prompt],
    ["a blue cup", "multiply", 0.5, "a-blue-cup.png", "a blue cup"],
  );
  await page.waitForSelector(stored);

  // The tab dies, and so does the server.
  await page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
  const browser = page.browser();
  await page.close();
  await site.close();
  const again = await browser.newPage();
  t.after(() => again.close());
  await again.setViewport({ width: 1440, height: 900 });
  await again.goto(`${site.url}?steps=1&device=cpu`);
  await again.waitForSelector("#layers li");
  assert.deepEqual(await layerNames(again), ["a blue cup", "a red apple"]);
  await drawn(again, 2);
  assert.equal(await again.$eval(".scene > .layer:last-child canvas", ({ dataset }) => dataset.drawn), second);
  await again.$eval("#layers .name", (button) => button.click());
  assert.equal(await again.$eval(".inspector [name=blend]", ({ value }) => value), "multiply");
  assert.deepEqual(await placement(again), moved);
  await ready(again);
  await again.click("#generate");
  await made(again, 3);
});

test("the topmost layer that has something under the pointer is taken, and moves, and snaps", async (t) => {
  const page = await openWith(t, { ground, disc: [100, 100, disc(100, 100, [40, 120, 230])] });
  // The disc stands in the middle; its corner is transparent, so that a click there takes the ground.
  await page.keyboard.press("Escape");
  await clickInScene(page, [152, 102]);
  assert.deepEqual(await selectedNames(page), ["ground"]);
  await clickInScene(page, [200, 150]);
  assert.deepEqual(await selectedNames(page), ["disc"]);

  await dragInScene(page, [200, 150], [230, 170]);
  assert.deepEqual((({ x, y }) => [Math.round(x), Math.round(y)])(await placement(page)), [180, 120]);
  // To within a few pixels of the left edge and of the middle.
  await dragInScene(page, [230, 170], [52, 152]);
  assert.deepEqual((({ x, y }) => [x, y])(await placement(page)), [0, 100]);
  await holding(page, "Control", () => dragInScene(page, [50, 150], [52, 151]));
  const { x } = await placement(page);
  assert.ok(x > 0.5, "Ctrl takes it off");
});

test("handles scale and turn a layer about the opposite corner and its centre", async (t) => {
  const page = await openWith(t, { ground, tile });
  await page.keyboard.press("Escape");
  await clickInScene(page, [200, 150]);
  const before = await placement(page);
  const { zoom } = await sceneBox(page);
  await dragHandle(page, "2", [37 * zoom, 29 * zoom]);
  const scaled = await placement(page);
  assert.deepEqual([scaled.x, scaled.y], [before.x, before.y], "the top left corner stays");
  assert.ok(scaled.scale > 130 && scaled.scale < 165, `${scaled.scale}`);

  await dragHandle(page, "rotate", [500, 0]);
  const { rotate } = await placement(page);
  assert.ok(rotate > 30 && rotate < 90, `${rotate}`);
  await page.keyboard.press("Escape");
  await holding(page, "Control", async () => {
    await page.keyboard.press("z");
    await page.keyboard.press("z");
  });
  await clickInScene(page, [200, 150]);
  assert.deepEqual(await placement(page), before);
});

test("several layers are selected together, moved, grouped, and let out again", async (t) => {
  const page = await openWith(t, { ground, one: tile, two: tile });
  await page.keyboard.press("Escape");
  await page.click("#layers li:nth-child(1) .name");
  for (let i = 0; i < 3; i++) await holding(page, "Shift", () => page.keyboard.press("ArrowRight"));
  assert.equal((await placement(page)).x, 190);
  await holding(page, "Control", () => page.click("#layers li:nth-child(2) .name"));
  assert.deepEqual(await selectedNames(page), ["two", "one"]);
  await holding(page, "Control", () => page.keyboard.press("g"));
  assert.deepEqual(
    await page.$$eval("#layers > li > .row strong", (names) => names.map(({ textContent }) => textContent)),
    ["Group", "ground"],
  );
  await dragInScene(page, [200, 150], [200, 130]);
  await holding(page, "Control", () => page.keyboard.press("z"));
  await holding(page, "Control", () => holding(page, "Shift", () => page.keyboard.press("G")));
  assert.deepEqual(await layerNames(page), ["two", "one", "ground"]);

  // A box around both, drawn from outside of the scene.
  await page.keyboard.press("Escape");
  await page.click("#layers li:nth-child(3) [name=locked]");
  await dragInScene(page, [-20, 20], [300, 280]);
  assert.deepEqual(await selectedNames(page), ["two", "one"]);
  await page.keyboard.press("Delete");
  assert.deepEqual(await layerNames(page), ["ground"]);
  await holding(page, "Control", () => page.keyboard.press("z"));
  assert.deepEqual(await layerNames(page), ["two", "one", "ground"]);
});

test("the list orders, hides, locks, renames and copies layers, with the mouse and with keys", async (t) => {
  const page = await openWith(t, { ground, one: tile, two: tile });
  await page.keyboard.press("Escape");
  const rows = await page.$$("#layers > li");
  const [top, bottom] = [await rows[0].boundingBox(), await rows[2].boundingBox()];
  await page.mouse.move(top.x + 90, top.y + 20);
  await page.mouse.down();
  await page.mouse.move(top.x + 90, top.y + 40, { steps: 4 });
  await page.mouse.move(bottom.x + 90, bottom.y + bottom.height - 6, { steps: 10 });
  // The list makes room for it before it is let go, when the pointer has moved there once more.
  const last = () => page.$eval("#layers > li:last-child strong", ({ textContent }) => textContent);
  for (let move = 0; move < 600 && (await last()) !== "two"; move++) {
    await page.mouse.move(bottom.x + 90 + (move % 2), bottom.y + bottom.height - 6);
    await page.evaluate(() => new Promise(requestAnimationFrame));
  }
  assert.equal(await last(), "two");
  await page.mouse.up();
  await page.waitForFunction(() => document.querySelector("#layers strong").textContent !== "two");
  assert.deepEqual(await layerNames(page), ["one", "ground", "two"]);

  await page.click("#layers li:nth-child(3) .name");
  await holding(page, "Control", () => page.keyboard.press("]"));
  assert.deepEqual(await layerNames(page), ["one", "two", "ground"]);
  await page.keyboard.press("F2");
  await page.waitForSelector(".rename:focus");
  await page.type(".rename", "three");
  await page.keyboard.press("Enter");
  assert.deepEqual(await layerNames(page), ["one", "three", "ground"]);
  await holding(page, "Control", () => page.keyboard.press("d"));
  assert.deepEqual(await layerNames(page), ["one", "three", "three", "ground"]);

  await page.click("#layers li:nth-child(1) [name=visible]");
  assert.equal(await page.$$eval(".scene > .layer[hidden]", ({ length }) => length), 1);
  await page.click("#layers li:nth-child(1) [name=locked]");
  await page.click("#layers li:nth-child(1) .name");
  await page.keyboard.press("Delete");
  assert.equal((await layerNames(page)).length, 4, "a locked layer stays");
  await page.click("#layers li:nth-child(1) [name=locked]");
  await page.focus("#layers li:nth-child(1) .name");
  await page.keyboard.press("Delete");
  await page.waitForFunction(() => document.activeElement.id === "stage");
  assert.deepEqual(await layerNames(page), ["three", "three", "ground"]);
});

test("ten layers of 1024 pixels cost the page little while one is dragged", async (t) => {
  const big = [1024, 1024, disc(1024, 1024, [200, 90, 60])];
  const page = await openWith(t, Object.fromEntries(Array.from({ length: 10 }, (_, index) => [`layer${index}`, big])));
  await page.click("#layers li:nth-child(4) .name");
  await choose(page, "blend", "multiply");
  await page.evaluate(() => {
    window.drawings = 0;
    for (const name of ["drawImage", "putImageData", "clearRect", "fillRect"]) {
      const method = CanvasRenderingContext2D.prototype[name];
      CanvasRenderingContext2D.prototype[name] = function (...values) {
        drawings += 1;
        return method.apply(this, values);
      };
    }
  });
  const { LayoutCount: before } = await page.metrics();
  await dragInScene(page, [512, 512], [700, 600], { steps: 60 });
  const { LayoutCount: after } = await page.metrics();
  t.diagnostic(`${after - before} layouts`);
  assert.equal(await page.evaluate(() => drawings), 0, "none is drawn anew");
  assert.equal(
    await page.$$eval(".scene canvas", (canvases) => canvases.filter(({ dataset }) => dataset.drawn).length),
    10,
    "all are there",
  );
  assert.ok(after - before <= 2 * 60, `${after - before} layouts for 60 movements`);
});

test("something is made in a box of the canvas, in its aspect", async (t) => {
  const page = await openDemo(t, "?steps=1&device=cpu");
  await page.setViewport({ width: 1440, height: 900 });
  const folder = scratch(t);
  await addFiles(page, [writePng(folder, "ground.png", 400, 300, slopes(400, 300))]);
  await ready(page);
  await drawn(page, 1);
  await page.$eval("#stage", (stage) => stage.focus());
  await page.keyboard.press("b");
  await dragInScene(page, [100, 40], [300, 140]);
  await textIs(page, ".chip", "200 × 100");
  await page.keyboard.press("Enter");
  await made(page, 2);
  const [width, height] = await page.$eval("#pixels", ({ textContent }) => textContent.match(/\d+/g).map(Number));
  assert.ok(width / height > 1.4, `${width} × ${height}`);
  const { x, y, scale } = await placement(page);
  assert.ok(x >= 99 && y >= 39 && x + (width * scale) / 100 <= 301 && y + (height * scale) / 100 <= 141);
});

test("scenes are listed with what they look like, opened, and removed", async (t) => {
  const page = await openWith(t, { ground, tile });
  await page.click("#scenes");
  await page.waitForSelector("#gallery .card img");
  await textIs(page, "#scene-storage", "[\\d.]+ of [\\d.]+ MB");
  await page.click("#gallery .new");
  await page.waitForFunction(() => document.querySelectorAll("#layers li").length === 0);
  await page.click("#scenes");
  await page.waitForSelector("#gallery .card img");
  await page.click("#gallery li:nth-child(2) .card");
  await drawn(page, 2);
  assert.deepEqual(await layerNames(page), ["tile", "ground"]);
  await page.click("#scenes");
  page.on("dialog", (dialog) => dialog.accept());
  await page.waitForSelector("#gallery li:nth-child(2) > .ghost");
  await page.click("#gallery li:nth-child(2) > .ghost");
  await page.waitForFunction(() => document.querySelectorAll("#gallery li").length === 1);
  const pictures = await page.evaluate(
    () =>
      new Promise((resolve) => {
        const request = indexedDB.open("glassine-studio");
        request.onsuccess = () => {
          const count = request.result.transaction("pictures").objectStore("pictures").count();
          count.onsuccess = () => resolve(count.result);
        };
      }),
  );
  assert.equal(pictures, 0, "and so are their pictures");
});

test("a scene that is open in one tab is not opened in another", async (t) => {
  const page = await openWith(t, { tile });
  await page.waitForSelector(stored);
  const other = await page.browser().newPage();
  t.after(() => other.close());
  await other.goto(page.url());
  await other.waitForSelector(".welcome");
  await other.click("#scenes");
  await other.waitForSelector("#gallery .card[aria-current=false]");
  await other.click("#gallery .card[aria-current=false]");
  await textIs(other, "#error", "open in another tab");
});

test("the loupe tells the colour and alpha of a pixel", async (t) => {
  const page = await openWith(t, { tile: [80, 60, () => [220, 60, 40, 128]] });
  await page.$eval("#stage", (stage) => stage.focus());
  await page.keyboard.press("l");
  const { x, y, zoom } = await sceneBox(page);
  await page.mouse.move(x + 10.5 * zoom, y + 20.5 * zoom);
  await textIs(page, ".loupe output", "^10, 20 {2}#dc3c28 {2}α 128$");
});

test("all shortcuts are listed, and Escape leads back", async (t) => {
  const page = await openWith(t, { tile });
  await page.$eval("#stage", (stage) => stage.focus());
  await page.keyboard.press("?");
  await page.waitForSelector("#shortcuts[open]");
  assert.ok((await page.$$eval("#shortcuts dt", ({ length }) => length)) > 30);
  await page.keyboard.press("Escape");
  await page.waitForSelector("#shortcuts:not([open])");
  assert.equal(await page.evaluate(() => document.activeElement.id), "stage");
});

test("layers are copied and pasted", async (t) => {
  const page = await openWith(t, { ground, tile });
  await page.click("#layers li:nth-child(1) .name");
  const client = await page.createCDPSession();
  const press = async (key, command) => {
    const at = { key, code: `Key${key.toUpperCase()}`, modifiers: 2, commands: [command] };
    await client.send("Input.dispatchKeyEvent", { type: "keyDown", ...at });
    await client.send("Input.dispatchKeyEvent", { type: "keyUp", ...at });
  };
  await press("c", "copy");
  await press("v", "paste");
  await page.waitForFunction(() => document.querySelectorAll("#layers li").length === 3);
  assert.deepEqual(await layerNames(page), ["tile", "tile", "ground"]);
});

test("files are dropped where they are to stand, and pictures pasted", async (t) => {
  const page = await openWith(t, { ground });
  const path = writePng(scratch(t), "dropped.png", ...tile);
  const box = await sceneBox(page);
  const client = await page.createCDPSession();
  const data = { items: [], files: [path], dragOperationsMask: 1 };
  const at = { x: box.x + 100 * box.zoom, y: box.y + 80 * box.zoom };
  for (const type of ["dragEnter", "dragOver", "drop"])
    await client.send("Input.dispatchDragEvent", { type, ...at, data });
  await drawn(page, 2);
  assert.deepEqual((({ x, y }) => [Math.round(x), Math.round(y)])(await placement(page)), [60, 50]);

  await page.evaluate(
    (base64) => {
      const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
      const clipboardData = new DataTransfer();
      clipboardData.items.add(new File([bytes], "pasted.png", { type: "image/png" }));
      document.querySelector("#stage").dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true }));
    },
    readFileSync(path, "base64"),
  );
  await drawn(page, 3);
  assert.deepEqual(await layerNames(page), ["pasted", "dropped", "ground"]);
});

test("a file that is no picture is refused by name, and the others are taken", async (t) => {
  const page = await openWith(t, { ground });
  const folder = scratch(t);
  const [notes, broken] = [join(folder, "notes.txt"), join(folder, "broken.png")];
  for (const file of [notes, broken]) writeFileSync(file, "no picture");
  await addFiles(page, [notes, broken, writePng(folder, "good.png", ...tile)]);
  await drawn(page, 2);
  await textIs(page, "#error", "notes.txt is no picture[^]*broken.png could not be read");
});

test("a scene is saved with its pictures, and opened from them", async (t) => {
  const page = await openWith(t, { ground, tile });
  await page.keyboard.press("Escape");
  await page.click("#layers li:nth-child(1) .name");
  await choose(page, "blend", "screen");
  await choose(page, "rotate", "30");
  await holding(page, "Control", () => page.keyboard.press("g"));
  const folder = scratch(t);
  const download = await downloadsTo(page, folder);
  await page.click("#export summary");
  const file = await download("#scene-json", "untitled.json");
  const images = await Promise.all(["ground.png", "tile.png"].map((name) => arrived(join(folder, name))));
  await page.keyboard.press("Escape");

  await addFiles(page, [file]);
  await textIs(page, "#error", "needs the picture");
  await addFiles(page, [file, ...images]);
  await page.waitForFunction(() => document.querySelector(".scene-name").value === "untitled");
  await drawn(page, 2);
  assert.deepEqual(await layerNames(page), ["Group", "tile", "ground"]);
  await page.click("#layers .layers .name");
  const { rotate } = await placement(page);
  assert.deepEqual([rotate, await page.$eval(".inspector [name=blend]", ({ value }) => value)], [30, "screen"]);
});

test("a scene is saved in one file, for other programs too, and opened again", async (t) => {
  const page = await openWith(t, { ground, tile });
  await page.keyboard.press("Escape");
  await page.click("#layers li:nth-child(1) .name");
  await choose(page, "blend", "screen");
  await choose(page, "opacity", "50");
  const download = await downloadsTo(page, scratch(t));
  for (const [format, name] of [
    ["zip", "untitled.glassine.zip"],
    ["ora", "untitled.ora"],
    ["psd", "untitled.psd"],
  ]) {
    await page.click("#export summary");
    const file = await download(`#scene-${format}`, name);
    await page.keyboard.press("Escape");
    // What comes is seen to be new.
    await page.focus("#stage");
    await holding(page, "Control", () => page.keyboard.press("a"));
    await page.keyboard.press("Delete");
    await page.waitForFunction(() => !document.querySelector("#layers li"));
    await addFiles(page, [file]);
    await drawn(page, 2);
    assert.equal(await page.$eval(".scene-name", ({ value }) => value), "untitled");
    assert.deepEqual(await layerNames(page), ["tile", "ground"], format);
    await page.click("#layers li:nth-child(1) .name");
    assert.equal(await page.$eval(".inspector [name=blend]", ({ value }) => value), "screen", format);
  }
  await page.click("#export summary");
  const flat = readFileSync(await download("#scene-webp", "untitled.webp"));
  assert.equal(flat.toString("latin1", 8, 16), "WEBPVP8L");
});

test("the scene is copied to the clipboard as a PNG", async (t) => {
  const page = await openWith(t, { ground, tile });
  await page
    .browserContext()
    .overridePermissions(new URL(page.url()).origin, [
      "clipboard-read",
      "clipboard-write",
      "clipboard-sanitized-write",
    ]);
  await page.bringToFront();
  await page.click("#export summary");
  await page.click("#scene-copy");
  await textIs(page, ".notices", "on the clipboard");
  const size = await page.evaluate(async () => {
    const [item] = await navigator.clipboard.read();
    const bitmap = await createImageBitmap(await item.getType("image/png"));
    return [bitmap.width, bitmap.height];
  });
  assert.deepEqual(size, [400, 300]);
});

test("a layer is made again with another seed, and what it was can be chosen", async (t) => {
  const page = await openDemo(t, "?steps=1&device=cpu");
  await page.setViewport({ width: 1440, height: 900 });
  await ready(page);
  await page.click("#generate");
  await made(page, 1);
  const before = await page.$eval(".made", ({ innerText }) => innerText);
  await page.click("#again");
  await page.waitForFunction(() => document.querySelectorAll("#variants input").length === 2);
  assert.notEqual(await page.$eval(".made", ({ innerText }) => innerText), before);
  await page.$eval("#variants input", (input) => input.click());
  await page.waitForFunction((before) => document.querySelector(".made").innerText === before, {}, before);
});

test("by touch: a finger moves a layer, two zoom, and nothing is wider than a phone", async (t) => {
  const page = await openWith(t, { ground, tile });
  await page.waitForSelector(stored);
  // This loads the page anew.
  await page.setViewport({ width: 390, height: 844, hasTouch: true, isMobile: true });
  await drawn(page, 2);
  const client = await page.createCDPSession();
  const touch = (type, ...points) =>
    client.send("Input.dispatchTouchEvent", { type, touchPoints: points.map(([x, y], id) => ({ x, y, id })) });
  const before = await sceneBox(page);
  const [x, y] = [before.x + before.width / 2, before.y + before.height / 2];
  await touch("touchStart", [x, y]);
  for (let step = 1; step <= 5; step++) await touch("touchMove", [x + 8 * step, y + 4 * step]);
  await touch("touchEnd");
  await page.click("[aria-label='Layers and properties']");
  const moved = await placement(page);
  assert.ok(
    Math.abs(moved.x - 160 - 40 / before.zoom) < 8 && Math.abs(moved.y - 120 - 20 / before.zoom) < 8,
    JSON.stringify(moved),
  );
  await page.click("[aria-label='Layers and properties']");

  await touch("touchStart", [x - 40, y], [x + 40, y]);
  for (let step = 1; step <= 8; step++) await touch("touchMove", [x - 40 - 5 * step, y], [x + 40 + 5 * step, y]);
  await touch("touchEnd");
  const { zoom } = await sceneBox(page);
  assert.ok(zoom > 1.6 * before.zoom && zoom < 2.4 * before.zoom, `${before.zoom} became ${zoom}`);
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= 390));
});

test("what can be done with a layer is in its menu, too, and the focus comes back from there", async (t) => {
  const page = await openWith(t, { ground, tile });
  await page.keyboard.press("Escape");
  await page.$eval("#stage", (stage) => stage.focus());
  await clickInScene(page, [200, 150], { button: "right" });
  await page.waitForSelector(".context-menu button:focus");
  assert.deepEqual(await selectedNames(page), ["tile"]);
  for (const key of ["ArrowDown", "ArrowDown", "Enter"]) await page.keyboard.press(key);
  assert.deepEqual(await layerNames(page), ["tile", "tile", "ground"]);
  assert.equal(await page.evaluate(() => document.activeElement.id), "stage");
  await clickInScene(page, [200, 150], { button: "right" });
  await page.waitForSelector(".context-menu button:focus");
  await page.keyboard.press("Escape");
  assert.equal(await page.$(".context-menu"), null);
});

test("layers are aligned with the scene, and with each other", async (t) => {
  const page = await openWith(t, { ground, one: tile, two: tile });
  await page.keyboard.press("Escape");
  await page.click("#layers li:nth-child(1) .name");
  await page.click("[aria-label='Align left']");
  await page.click("[aria-label='Align at the bottom']");
  assert.deepEqual((({ x, y }) => [x, y])(await placement(page)), [0, 240]);
  await holding(page, "Control", () => page.click("#layers li:nth-child(2) .name"));
  await page.click("[aria-label='Align right']");
  await page.click("#layers li:nth-child(1) .name");
  assert.deepEqual((({ x, y }) => [x, y])(await placement(page)), [160, 240]);
});

test("the wheel looks around, and with Ctrl zooms about the pointer", async (t) => {
  const page = await openWith(t, { ground });
  await ready(page);
  const before = await sceneBox(page);
  await page.mouse.move(before.x + 100, before.y + 100);
  await holding(page, "Control", () => page.mouse.wheel({ deltaY: -60 }));
  await page.waitForFunction(
    (zoom) => document.querySelector(".world").getBoundingClientRect().width > zoom * 400 * 1.05,
    {},
    before.zoom,
  );
  const zoomed = await sceneBox(page);
  const under = ({ x, y, zoom }) => [(before.x + 100 - x) / zoom, (before.y + 100 - y) / zoom];
  for (const [index, value] of under(zoomed).entries())
    assert.ok(Math.abs(value - under(before)[index]) < 1, `${under(zoomed)}`);
  await page.mouse.wheel({ deltaX: 10, deltaY: 30 });
  await page.waitForFunction((x) => document.querySelector(".world").getBoundingClientRect().x !== x, {}, zoomed.x);
  const { x, y } = await sceneBox(page);
  assert.deepEqual([Math.round(x - zoomed.x), Math.round(y - zoomed.y)], [-10, -30]);
  await page.keyboard.press("0");
  await page.waitForFunction((x) => document.querySelector(".world").getBoundingClientRect().x === x, {}, before.x);
  assert.deepEqual(await sceneBox(page), before);
});

test("what is asked for before the model is there is made once it is", async (t) => {
  const page = await openDemo(t, "?steps=1&device=cpu");
  await page.waitForSelector("[name=prompt]");
  assert.ok(await page.$("#generate:disabled"), "the model takes longer than that");
  await page.focus("[name=prompt]");
  await page.keyboard.press("Enter");
  await textIs(page, "#status", "Then it is made");
  await made(page, 1);
});
