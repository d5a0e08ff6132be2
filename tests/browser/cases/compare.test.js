// Section 4.6 in the page: a layer against what a matte makes of it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { openDemo, textIs } from "../lib/demo.js";
import { scratch } from "../lib/native.js";
import { writePng } from "../lib/pictures.js";
import { addFiles, drawn } from "../lib/studio.js";

test("a layer is shown beside what is left of it when it is cut out, with the error of its alpha", async (t) => {
  const page = await openDemo(t, "?device=cpu");
  // A black half, a white half, and nothing around them.
  const halves = (x, y) => (y < 4 || y >= 12 ? [0, 0, 0, 0] : x < 8 ? [0, 0, 0, 255] : [255, 255, 255, 255]);
  await addFiles(page, [writePng(scratch(t), "halves.png", 16, 16, halves)]);
  await drawn(page, 1);
  await page.click("#compare-matte");
  await page.waitForSelector("#compare[open]");
  const errorIs = (text) => textIs(page, "#matte-error", `: ${text},`);
  const alphas = () =>
    page.$$eval("#compare canvas", (canvases) =>
      canvases.map((canvas) => [4, 12].map((x) => canvas.getContext("2d").getImageData(x, 8, 1, 1).data[3])),
    );
  const choose = (name, value) => page.$eval(`#compare [name=${name}][value="${value}"]`, (radio) => radio.click());

  // Out of white, white is lost; out of black, black is; a ground between the two keeps both.
  await errorIs("0\\.500");
  assert.deepEqual(await alphas(), [[255, 255], [255, 0]]);
  await choose("ground", "#000000");
  await errorIs("0\\.500");
  await page.waitForFunction(
    () => document.querySelectorAll("#compare canvas")[1].getContext("2d").getImageData(4, 8, 1, 1).data[3] === 0,
  );
  await choose("ground", "#808080");
  await errorIs("0\\.00\\d");

  await choose("behind", "#ffffff");
  assert.equal(await page.$eval("#compare canvas", ({ style }) => style.backgroundColor), "rgb(255, 255, 255)");
  await choose("behind", "checker");
  await page.waitForSelector("#compare canvas.checker");
  await page.keyboard.press("Escape");
  await page.waitForSelector("#compare:not([open])");
  assert.equal(await page.evaluate(() => document.activeElement.id), "compare-matte");
});
