// Links to how a picture is made: copied, and opened with care.

import assert from "node:assert/strict";
import { test } from "node:test";
import { answer, openDemo, textIs, unfoldModels } from "../lib/demo.js";
import { mini, PackServer } from "../lib/pack.js";
import { choose, setPrompt } from "../lib/studio.js";

const ready = (page) => page.waitForSelector("#generate:not(:disabled)");
const value = (page, name) => page.$eval(`[name=${name}]`, ({ value }) => value);

/** Opens the page at a link of these fields. */
const openLink = (t, fields, pack) => openDemo(t, `?device=cpu#${new URLSearchParams(fields)}`, pack);

/** The URL of the pack that a page's site serves. */
const packOf = (page) => new URL("/pack/", page.url()).href;

/** Goes to a link of these fields from the page itself. */
const follow = (page, fields) => page.evaluate((hash) => (location.hash = hash), `#${new URLSearchParams(fields)}`);

/** What the page has put on the clipboard. */
async function copied(page, selector) {
  const { origin } = new URL(page.url());
  await page
    .browserContext()
    .overridePermissions(origin, ["clipboard-read", "clipboard-write", "clipboard-sanitized-write"]);
  await page.bringToFront();
  await page.click(selector);
  await textIs(page, ".notices", "The link is on the clipboard");
  return new URL(await page.evaluate(() => navigator.clipboard.readText()));
}

test("the settings, and how a layer was made, are copied as a link that says no more than that", async (t) => {
  const page = await openDemo(t, "?model=/pack/&device=cpu&steps=1", new PackServer());
  await ready(page);
  await setPrompt(page, "a red apple & more");
  await page.click("#more");
  const link = await copied(page, "#copy-link");
  assert.deepEqual([link.pathname, link.search], ["/", ""]);
  const { bytes, ...said } = Object.fromEntries(new URLSearchParams(link.hash.slice(1)));
  assert.ok(Number(bytes) > 1e7);
  const { width, height, guidance } = mini.defaults;
  const size = { width: String(width), height: String(height) };
  const expected = { prompt: "a red apple & more", mode: "single", steps: "1", guidance: String(guidance), seed: "7", model: packOf(page) };
  assert.deepEqual(said, { ...expected, ...size });

  await page.click("#generate");
  await page.waitForSelector("#layers li");
  await setPrompt(page, "something else");
  const made = Object.fromEntries(new URLSearchParams((await copied(page, "#copy-layer-link")).hash.slice(1)));
  assert.equal(made.prompt, "a red apple & more");
  assert.equal(made.model, packOf(page));
  for (const name of Object.keys(made)) assert.match(name, /^(prompt|mode|width|height|steps|guidance|seed|sampler|convention|clipSkip|decodePasses|model|bytes)$/);
});

test("a link says what it would fetch and how large it is, and fetches nothing before it may", async (t) => {
  const pack = new PackServer();
  const page = await openDemo(t, "?device=cpu", pack);
  await ready(page);
  const other = await page.browser().newPage();
  t.after(() => other.close());
  const fields = { prompt: "a blue cup", steps: 2, guidance: 3.25, width: 96, height: 64, sampler: "euler", seed: 11, model: packOf(page), bytes: pack.bytes };
  await other.goto(`${page.url()}#${new URLSearchParams(fields)}`);
  await other.waitForSelector("#link[open]");
  const text = await other.$eval("#link", ({ innerText }) => innerText);
  assert.match(text, /a blue cup[^]*96[^]*from site-\d+\.localhost[^]*\d+\.\d MB/);
  assert.deepEqual(pack.requests, []);
  assert.equal(await other.$("#generate:not(:disabled)"), null);

  await answer(other, "^Fetch [\\d.]+ MB and open");
  await ready(other);
  assert.ok(pack.shardsAskedFor.length > 0);
  const names = ["prompt", "steps", "guidance", "size", "seed"];
  assert.deepEqual(await Promise.all(names.map((name) => value(other, name))), ["a blue cup", "2", "3.25", "96x64", "11"]);
  assert.equal(await other.$("#layers li"), null, "nothing is made by itself");
  const { hash, searchParams } = new URL(other.url());
  assert.deepEqual([hash, searchParams.get("model")], ["", packOf(page)]);
  await other.click("#more");
  await textIs(other, "#beside", "sampler euler");
  await other.click("#generate");
  await textIs(other, "#pixels", "96 × 64");
});

test("what is larger than its link says, or of unknown size, is asked for again", async (t) => {
  const pack = new PackServer();
  const page = await openDemo(t, "?device=cpu", pack);
  await ready(page);
  for (const [bytes, first] of [[{ bytes: 1_000_000 }, "^Fetch 1\\.0 MB"], [{}, "^Ask how large"]]) {
    await follow(page, { prompt: "a fox", model: packOf(page), ...bytes });
    await answer(page, first);
    await textIs(page, "#link-agree", `^Fetch ${(pack.bytes / 1e6).toFixed(1)} MB and open`);
    assert.deepEqual(pack.shardsAskedFor, []);
    await answer(page, "^Leave it");
    await page.waitForSelector("#link:not([open])");
    // The address is cleared a moment after the dialog is gone; it would take the next link with it.
    await page.waitForFunction(() => location.hash === "");
  }
  assert.equal(await value(page, "prompt"), "a red apple");
});

test("a link is left, and the page works as if there had been none", async (t) => {
  const pack = new PackServer();
  const page = await openLink(t, { prompt: "a fox", model: "https://example.com/fox/", bytes: 9e8 }, pack);
  await textIs(page, "#link[open] #link-model", "example\\.com.*900\\.0 MB");
  await page.keyboard.press("Escape");
  await ready(page);
  assert.equal(await value(page, "prompt"), "a red apple");
  assert.equal(new URL(page.url()).hash, "");
});

test("a model that is here already, or that the link does not name, needs no fetching", async (t) => {
  const pack = new PackServer();
  const page = await openDemo(t, "?device=cpu", pack);
  await unfoldModels(page);
  await page.type("#importForm [name=url]", "/pack/");
  await page.type("#importForm [name=name]", "apple");
  await page.click("#importForm button");
  await textIs(page, "#modelStatus", "apple is stored");
  await page.keyboard.press("Escape");
  pack.requests.length = 0;
  await follow(page, { prompt: "a fox", model: packOf(page) });
  await textIs(page, "#link-model", "the model apple, which is here already");
  await answer(page, "^Open");
  await textIs(page, "#status", "Ready");
  assert.equal(new URL(page.url()).searchParams.get("model"), "apple");
  assert.deepEqual(pack.requests, []);

  await follow(page, { prompt: "an owl", mode: "opaque" });
  await textIs(page, "#link-model", "the link names none");
  await answer(page, "^Open");
  await page.waitForFunction(() => document.querySelector("[name=prompt]").value === "an owl");
  assert.equal(await value(page, "mode"), "opaque");
  await choose(page, "mode", "single");
  await follow(page, { prompt: "a whale", model: "mini" });
  await textIs(page, "#link-model", "the model mini, which is here already");
});

test("a link that cannot be read is said in one line", async (t) => {
  const page = await openLink(t, { prompt: "a fox", steps: "many" });
  await textIs(page, ".notice.warning", "The link cannot be used: its steps is \"many\", and should be a whole number");
  await ready(page);
  await follow(page, { layers: "" });
  await textIs(page, ".notice.warning:last-child", "which this page does not know");
  assert.equal(await page.$("#link[open]"), null);
});
