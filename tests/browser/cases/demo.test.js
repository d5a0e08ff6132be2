// The demo page, used as a visitor would.

import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { launch } from "../lib/chromium.js";
import { serveFolder } from "../lib/site.js";

async function openDemo(t, query) {
  const site = await serveFolder(fileURLToPath(new URL("../../../www/dist/", import.meta.url)));
  const { browser, close } = await launch("none");
  t.after(async () => {
    await close();
    await site.close();
  });
  const page = await browser.newPage();
  await page.goto(site.url + query);
  return page;
}

const statusIs = (page, pattern) =>
  page.waitForFunction((source) => new RegExp(source).test(document.querySelector("#status").textContent), {}, pattern);

test("a prompt in the address makes a picture that can be saved and looked at", async (t) => {
  const page = await openDemo(t, "?prompt=a+red+apple&seed=7&steps=2&auto=1&device=cpu");
  const result = await page.evaluate(() => glassineResult);
  assert.equal(result.device, "cpu");
  assert.deepEqual([...Buffer.from(result.png, "base64").subarray(1, 4)], [...Buffer.from("PNG")]);

  assert.equal(await page.$eval("#download", (link) => link.download), "a-red-apple-7.png");
  const saved = await page.$eval("#download", async (link) => (await (await fetch(link.href)).blob()).size);
  assert.equal(saved, Buffer.from(result.png, "base64").length);

  const alphas = () =>
    page.$eval("#picture", (canvas) => {
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      return [...new Set(data.filter((_, i) => i % 4 === 3))];
    });
  assert.ok((await alphas()).length > 1);
  await page.$eval("input[value=rgb]", (input) => input.click());
  assert.deepEqual(await alphas(), [255]);
});

test("Cancel stops a request, and Generate makes another", async (t) => {
  const page = await openDemo(t, "?steps=50");
  await page.waitForSelector("#generate:not(:disabled)");
  await page.click("#generate");
  await statusIs(page, "Step [1-9]");
  await page.click("#cancel");
  await statusIs(page, "Cancelled");
  await page.$eval("input[name=steps]", (input) => (input.value = "1"));
  await page.click("#generate");
  await statusIs(page, "Done");
});

test("what goes wrong is shown, with what to do", async (t) => {
  const page = await openDemo(t, "?device=webgpu");
  await page.waitForSelector("#error:not([hidden])");
  const text = await page.$eval("#error", (box) => box.innerText);
  assert.match(text, /WebGPU adapter/i);
  assert.match(text, /cpu/);
});

test("every control has a label", async (t) => {
  const page = await openDemo(t, "");
  const unlabelled = await page.$$eval("input, select, textarea, button, progress, canvas", (controls) =>
    controls
      .filter((control) => !control.labels?.length && !control.ariaLabel && !control.textContent.trim())
      .map((control) => control.outerHTML),
  );
  assert.deepEqual(unlabelled, []);
});
