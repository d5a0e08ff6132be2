// The guide's pages: all that they link to is there, nothing comes from elsewhere, and everybody can read them.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { openDemo } from "../lib/demo.js";
import { sharedBrowser } from "../lib/shared-browser.js";
import { serveFolder } from "../lib/site.js";

const dist = fileURLToPath(new URL("../../../www/dist/", import.meta.url));
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const pages = readdirSync(join(dist, "guide"), { recursive: true }).filter((name) => name.endsWith(".html")).map((name) => `guide/${name}`);
const examples = readdirSync(join(dist, "examples")).map((name) => `examples/${name}/index.html`);

let site;
before(async () => (site = await serveFolder(dist)));
after(() => site.close());

async function openPage(t, { width, scheme }) {
  const page = await (await sharedBrowser("none")).newPage();
  t.after(() => page.close());
  await page.setViewport({ width, height: 900 });
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
  return page;
}

test("every link within the site and every picture leads to something that is there", async (t) => {
  const page = await openPage(t, { width: 1440, scheme: "light" });
  const anchors = new Map();
  const links = [];
  for (const path of pages) {
    await page.goto(site.url + path);
    anchors.set(site.url + path, await page.$$eval("[id]", (elements) => elements.map(({ id }) => id)));
    links.push(...(await page.$$eval("a[href], img", (elements) => elements.map((element) => [location.href, element.href ?? element.src]))));
  }
  assert.ok(links.length > 500);
  for (const [from, to] of links) {
    if (/^(data|https):/.test(to)) continue;
    assert.ok(to.startsWith(site.url), `${from} leads to ${to}`);
    const { origin, pathname, hash } = new URL(to);
    assert.doesNotThrow(() => readFileSync(join(dist, pathname)), `${from} leads to ${to}; the reference is made by scripts/docs --package`);
    const ids = anchors.get(origin + pathname);
    if (hash && ids) assert.ok(ids.includes(decodeURIComponent(hash.slice(1))), `${from} leads to ${to}`);
  }
});

for (const [width, scheme] of [[1440, "light"], [390, "dark"]]) {
  test(`pages at a width of ${width}, ${scheme}: axe finds nothing, nothing is too wide, nothing is refused or from elsewhere`, async (t) => {
    const page = await openPage(t, { width, scheme });
    const troubles = [];
    page.on("console", (message) => troubles.push(message.text()));
    page.on("pageerror", (error) => troubles.push(error.message));
    page.on("request", (request) => /^(data:|blob:)/.test(request.url()) || request.url().startsWith(site.url) || troubles.push(request.url()));
    for (const path of [...pages, ...examples.filter((name) => !name.includes("first-picture"))]) {
      await page.goto(site.url + path);
      await page.evaluate(axe);
      const found = await page.evaluate(async () => {
        const { violations } = await globalThis.axe.run();
        const wide = document.documentElement.scrollWidth - innerWidth;
        return [...violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`), ...(wide > 0 ? [`${wide} px too wide`] : [])];
      });
      troubles.push(...found.map((text) => `${path}: ${text}`));
    }
    assert.deepEqual(troubles, []);
  });
}

test("the keyboard skips to the text, chooses what lies behind the pictures, and copies code", async (t) => {
  const page = await openPage(t, { width: 1440, scheme: "light" });
  await page.browserContext().overridePermissions(new URL(site.url).origin, ["clipboard-read", "clipboard-sanitized-write"]);
  await page.goto(`${site.url}guide/index.html`);
  await page.keyboard.press("Tab");
  assert.ok(await page.evaluate(() => document.activeElement.matches(".skip") && document.activeElement.getBoundingClientRect().left >= 0));
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement.id), "content");

  const background = () => page.$eval(".paper", (paper) => getComputedStyle(paper).backgroundImage);
  assert.equal(await background(), "none");
  await page.focus("[name=paper]:checked");
  await page.keyboard.press("ArrowRight");
  assert.match(await background(), /conic-gradient/);

  await page.bringToFront();
  await page.focus("figure.code button");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.activeElement.textContent === "Copied");
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), "npm install glassine\n");
});

test("after one visit to the demo page the guide is there without a server", async (t) => {
  const page = await openDemo(t, "?device=cpu", undefined, { offline: true });
  await page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
  const { origin } = new URL(page.url());
  const offline = await page.createCDPSession();
  await offline.send("Network.enable");
  await offline.send("Network.emulateNetworkConditions", { offline: true, latency: 0, downloadThroughput: -1, uploadThroughput: -1 });
  for (const path of ["guide/index.html", "guide/transparency.html", "guide/cookbook/sprites.html"]) {
    await page.goto(`${origin}/${path}`);
    assert.ok(await page.$("main h1"), path);
    assert.deepEqual(await page.$$eval("img", (images) => images.filter(({ naturalWidth }) => !naturalWidth).map(({ src }) => src)), []);
  }
});
