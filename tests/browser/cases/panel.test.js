// The demo page's panel of models, used as a visitor would.

import assert from "node:assert/strict";
import { test } from "node:test";
import { answer, modelRows, openDemo, openPanel, textIs, unfoldModels } from "../lib/demo.js";
import { last } from "../lib/importing.js";
import { PackServer, stall } from "../lib/pack.js";

const statusIs = (page, pattern) => textIs(page, "#modelStatus", pattern);

/** Finds and presses a button at once: the list is made anew whenever something changes. */
const press = async (page, label) => {
  const selector = `[aria-label="${label}"]`;
  await page.waitForSelector(selector);
  await page.evaluate((selector) => document.querySelector(selector).click(), selector);
};

test("a model is imported, interrupted, resumed, verified and removed", async (t) => {
  const pack = new PackServer();
  const page = await openPanel(t, pack);
  await page.waitForFunction(() => document.querySelector("#storage").textContent.includes("MB"));
  assert.match((await modelRows(page)).join(), /^mini [\d.]+ MB, part of this page Use$/);

  pack.faults.set(last, stall());
  await page.type("#importForm [name=url]", "/pack/");
  await page.type("#importForm [name=name]", "apple");
  await page.click("#importForm button");
  // All shards but half of the last are there.
  const { bytes } = pack.manifest.shards.find(({ file }) => file === last);
  const atLeast = (pack.bytes - 0.6 * bytes) / pack.bytes;
  await page.waitForFunction((share) => document.querySelector("#modelProgress").value > share, {}, atLeast);
  await page.click("#modelCancel");
  await statusIs(page, "Cancelled");
  await page.waitForSelector('[aria-label="Resume apple"]');
  assert.match((await modelRows(page))[1], /^apple .* not complete Resume Remove$/);

  pack.faults.clear();
  await press(page, "Resume apple");
  await statusIs(page, "apple is stored");
  await page.waitForSelector('[aria-label="Verify apple"]');
  await press(page, "Verify apple");
  await statusIs(page, "apple is whole");
  assert.equal(await page.$eval('[aria-label="Use apple"]', (link) => new URL(link.href).search), "?model=apple");
  await press(page, "Remove apple");
  await statusIs(page, "apple is removed");
  await page.waitForFunction(() => document.querySelectorAll("#modelList li").length === 1);
});

test("what goes wrong is said, with what to do", async (t) => {
  const page = await openPanel(t, new PackServer());
  await page.type("#importForm [name=url]", "/nothing/");
  await page.click("#importForm button");
  await textIs(page, "#modelError:not([hidden])", "404[^]*Check the URL");
});

test("before a model of the same name is replaced, that is asked", async (t) => {
  const pack = new PackServer();
  pack.rename("apple");
  const page = await openPanel(t, pack);
  await page.type("#importForm [name=url]", "/pack/");
  const importAgain = async (choice) => {
    await page.click("#importForm button");
    await answer(page, choice);
  };
  await page.click("#importForm button");
  await statusIs(page, "apple is stored");

  pack.requests.length = 0;
  await importAgain("^Cancel");
  await statusIs(page, "apple is as it was");
  await importAgain("Keep both, the new one as apple-2");
  await statusIs(page, "apple-2 is stored");
  await page.waitForSelector('[aria-label="Use apple-2"]');
  assert.match((await modelRows(page)).join(), /^mini .*,apple .*,apple-2 /);

  await importAgain("^Replace apple");
  await statusIs(page, "apple is stored");
  await page.type("#importForm [name=name]", "apple-2");
  await page.click("#importForm button");
  await page.waitForSelector("#replace[open]");
  assert.match(await page.$eval("#replace", ({ innerText }) => innerText), /apple-2 is stored already|called apple-2/);
  await page.keyboard.press("Escape");
  await statusIs(page, "apple-2 is as it was");
  assert.ok(await page.$("#models[open]"), "the panel stays");
});

test("the device is chosen in the page and kept for the next visit, unless the address says another", async (t) => {
  const page = await openDemo(t, "?steps=1");
  await page.waitForSelector("#generate:not(:disabled)");
  const choose = (value) => page.$eval(`[name=device][value=${value}]`, (radio) => radio.click());
  const chosen = () => page.$eval("[name=device]:checked", ({ value }) => value);
  const hint = (pattern) => textIs(page, "#deviceHint", pattern);
  assert.equal(await chosen(), "auto");
  await unfoldModels(page);
  await hint("The GPU where there is one.*Now it is the CPU");
  await choose("webgpu");
  await textIs(page, "#error:not([hidden])", "WebGPU adapter");
  await page.reload();
  await textIs(page, "#error:not([hidden])", "WebGPU adapter");
  assert.equal(await chosen(), "webgpu");
  await choose("cpu");
  await textIs(page, "#status", "Ready, on the CPU");
  await page.reload();
  await page.waitForSelector("#generate:not(:disabled)");
  assert.equal(await chosen(), "cpu");

  await page.goto(new URL("?device=webgpu&steps=1", page.url()).href);
  await textIs(page, "#error:not([hidden])", "WebGPU adapter");
  assert.equal(await chosen(), "webgpu");
  await choose("auto");
  await textIs(page, "#status", "Ready, on the CPU");
  assert.equal(new URL(page.url()).search, "?steps=1", "what is chosen counts from now on");
});
