// The demo page as a designer uses it: files in, pointer and keys on the canvas.

import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { openDemo, seldom } from "./demo.js";
import { scratch } from "./native.js";
import { writePng } from "./pictures.js";

/** Gives the page files as its picker does. */
export async function addFiles(page, paths) {
  await (await page.waitForSelector("#files")).uploadFile(...paths);
}

/** Waits until every layer that is there is drawn. */
export async function drawn(page, count) {
  await page.waitForFunction(
    (count) => {
      const canvases = [...document.querySelectorAll(".scene .layer canvas")];
      return canvases.length === count && canvases.every(({ dataset }) => dataset.drawn);
    },
    {},
    count,
  );
  // Two frames, so that the compositor has them.
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
}

/** The place of the scene on the screen, and its zoom. */
export const sceneBox = (page) =>
  page.$eval(".world", (world) => {
    const { x, y, width, height } = world.getBoundingClientRect();
    return { x, y, width, height, zoom: width / world.offsetWidth };
  });

/** Drags from one point of the scene to another, in its own pixels. */
export async function dragInScene(page, from, to, { steps = 6 } = {}) {
  const { x, y, zoom } = await sceneBox(page);
  await page.mouse.move(x + from[0] * zoom, y + from[1] * zoom);
  await page.mouse.down();
  await page.mouse.move(x + to[0] * zoom, y + to[1] * zoom, { steps });
  await page.mouse.up();
}

export async function clickInScene(page, [left, top], options) {
  const { x, y, zoom } = await sceneBox(page);
  await page.mouse.click(x + left * zoom, y + top * zoom, options);
}

/** The names of the layers in the list, the topmost first, those of groups after the group. */
export const layerNames = (page) =>
  page.$$eval("#layers .name strong", (names) => names.map(({ textContent }) => textContent));

/** The values of the fields that place what is selected. */
export const placement = (page) =>
  page.evaluate(() =>
    Object.fromEntries(
      ["x", "y", "scale", "rotate"].map((name) => [
        name,
        document.querySelector(`.inspector [name=${name}]`).valueAsNumber,
      ]),
    ),
  );

/** Sets a control of the page as a visitor does. */
export const choose = (page, name, value) =>
  page.$eval(
    `[name=${name}]`,
    (control, value) => {
      control.value = value;
      for (const type of ["input", "change"]) control.dispatchEvent(new Event(type, { bubbles: true }));
    },
    value,
  );

/** Types a prompt in the place of the one that is there. */
export async function setPrompt(page, prompt) {
  await page.$eval("[name=prompt]", (field) => field.select());
  await page.type("[name=prompt]", prompt);
}

/** Opens the settings, with one seed for all that is made. */
export async function openSettings(page) {
  await page.setViewport({ width: 1280, height: 1000 });
  await ready(page);
  await page.click("#more");
  await page.click("[name=newSeed]");
}

/** Makes one more layer, and gives its pixels. */
export async function makeLayer(page) {
  const before = await page.$$eval("#layers li", ({ length }) => length);
  await page.click("#generate");
  await page.waitForFunction((count) => document.querySelectorAll("#layers li").length > count, seldom, before);
  return ownPixels(page);
}

/** The pixels of the selected layer's own picture. */
export const ownPixels = (page) =>
  page.$eval("#download", async ({ href }) => {
    const bitmap = await createImageBitmap(await (await fetch(href)).blob());
    const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d");
    context.drawImage(bitmap, 0, 0);
    return Array.from(context.getImageData(0, 0, bitmap.width, bitmap.height).data);
  });

/** Drops files of the disk on an element, as the mouse does. */
export async function dropOn(page, selector, ...paths) {
  const zone = await page.$(selector);
  await zone.scrollIntoView();
  const { x, y } = await zone.clickablePoint();
  const client = await page.createCDPSession();
  const data = { items: [], files: paths, dragOperationsMask: 1 };
  for (const type of ["dragEnter", "dragOver", "drop"]) await client.send("Input.dispatchDragEvent", { type, x, y, data });
}

/** Holds a key down while something else is done. */
export async function holding(page, key, act) {
  await page.keyboard.down(key);
  await act();
  await page.keyboard.up(key);
}

/** Waits until the model is there. */
export const ready = (page) => page.waitForSelector("#generate:not(:disabled)");

/** Waits until nothing is being made, and so many layers are there. */
export const made = (page, count) =>
  page.waitForFunction(
    (count) => !document.querySelector("#queue") && document.querySelectorAll("#layers li").length === count,
    seldom,
    count,
  );

/** What the page has when everything is kept. */
export const stored = ".kept[data-state=kept]";

/** Opens the page with pictures of these names and sizes as layers, the last on top and all selected. */
export async function openWith(t, pictures, { query = "?device=cpu", pack } = {}) {
  const folder = scratch(t);
  const files = Object.entries(pictures).map(([name, [width, height, colourAt]]) =>
    writePng(folder, `${name}.png`, width, height, colourAt),
  );
  const page = await openDemo(t, query, pack);
  await page.setViewport({ width: 1440, height: 900 });
  await addFiles(page, files);
  await drawn(page, files.length);
  return page;
}

/** Has a page's downloads go to a folder; gives a function that clicks, and waits for the file. */
export async function downloadsTo(page, folder) {
  const client = await page.createCDPSession();
  await client.send("Browser.setDownloadBehavior", { behavior: "allow", downloadPath: folder });
  return async (selector, name) => {
    await page.click(selector);
    return arrived(join(folder, name));
  };
}

/** Waits until a file is there, which Chromium gives its name once it is whole. */
export async function arrived(file) {
  while (!existsSync(file) || statSync(file).size === 0) await new Promise((resolve) => setTimeout(resolve, 20));
  return file;
}
