// The demo page's panel of models, used as a visitor would.

import assert from "node:assert/strict";
import { test } from "node:test";
import { modelRows, openPanel, textIs } from "../lib/demo.js";
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

  pack.faults.set("shard-00003.safetensors", stall());
  await page.type("#importForm [name=url]", "/pack/");
  await page.type("#importForm [name=name]", "apple");
  await page.click("#importForm button");
  // Two shards and half of the third are there.
  const { bytes } = pack.manifest.shards.find(({ file }) => file === "shard-00003.safetensors");
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
