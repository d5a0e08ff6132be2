// After one visit the demo page works with the network off, and a newer version
// of it replaces what is kept.

import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { PackServer } from "../lib/pack.js";
import { sharedBrowser } from "../lib/shared-browser.js";
import { serveFolder } from "../lib/site.js";

const dist = fileURLToPath(new URL("../../../www/dist/", import.meta.url));

/** Serves the demo page, and gives its first visit, when everything is kept. */
async function visit(t, { folder = dist, pack } = {}) {
  const site = await serveFolder(folder, pack);
  t.after(() => site.close());
  const page = await (await sharedBrowser("none")).newPage();
  t.after(() => page.close());
  await page.goto(`${site.url}?device=cpu`);
  await page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
  await page.waitForSelector("#generate:not(:disabled)");
  return { site, page };
}

async function generate(page, url) {
  await page.goto(`${url}&prompt=a+red+apple&device=cpu&steps=1&auto=1`);
  const { png } = await page.evaluate(() => glassineResult);
  return Buffer.from(png, "base64").subarray(1, 4).toString();
}

test("with the server gone, the page loads and makes pictures", async (t) => {
  const { site, page } = await visit(t);
  await site.close();
  assert.equal(await generate(page, `${site.url}?seed=7`), "PNG");
  const refused = await page.evaluate(() => fetch("./nothing-kept").then(() => "answered", () => "refused"));
  assert.equal(refused, "refused", "there really is no server");
});

test("with the server gone, a model that was imported in the page makes pictures, too", async (t) => {
  const pack = new PackServer();
  const { site, page } = await visit(t, { pack });
  await page.$eval("#models", (panel) => (panel.open = true));
  await page.type("#importForm [name=url]", "pack");
  await page.type("#importForm [name=name]", "apple");
  await page.click("#importForm button");
  await page.waitForFunction(() => /apple is stored/.test(document.querySelector("#modelStatus").textContent));
  await site.close();
  pack.requests.length = 0;
  assert.equal(await generate(page, `${site.url}?model=apple`), "PNG");
  assert.deepEqual(pack.requests, []);
});

test("a newer version is shown at once, and kept from then on", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "glassine-site-"));
  t.after(() => rm(folder, { recursive: true }));
  await cp(dist, folder, { recursive: true });
  const { site, page } = await visit(t, { folder });

  const change = async (file, from, to) => {
    const text = await readFile(join(folder, file), "utf8");
    assert.match(text, from);
    await writeFile(join(folder, file), text.replace(from, to));
  };
  await change("index.html", /<title>.*?<\/title>/, "<title>Newer</title>");
  await change("service-worker.js", /const version = "\w+"/, 'const version = "newer"');
  const serviceWorkers = await watchServiceWorkers(page);
  await page.goto(site.url);
  assert.equal(await page.title(), "Newer");

  // The newer service worker is installed, and takes over after the last page of the earlier one is closed.
  const newer = await serviceWorkers(({ status }) => status === "installed");
  await page.goto("about:blank");
  await serviceWorkers(({ versionId, status }) => versionId === newer.versionId && status === "activated");
  await page.goto(site.url);
  assert.deepEqual(await page.evaluate(() => caches.keys()), ["glassine-newer"]);
  await site.close();
  await page.goto(site.url);
  assert.equal(await page.title(), "Newer");
  await page.waitForSelector("#generate:not(:disabled)");
});

test("where the server has a fault or does not answer, the page that is kept is shown", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "glassine-site-"));
  t.after(() => rm(folder, { recursive: true }));
  await cp(dist, folder, { recursive: true });
  const { site, page } = await visit(t, { folder });
  await rm(join(folder, "index.html"));
  for (const path of ["", "index.html"]) {
    await page.goto(`${site.url}${path}`);
    assert.equal(await page.title(), "Glassine", "not the server's own page of an error");
  }

  await site.close();
  const silent = createServer(() => {});
  await new Promise((resolve) => silent.listen(new URL(site.url).port, "127.0.0.1", resolve));
  t.after(() => new Promise((resolve) => silent.close(resolve).closeAllConnections()));
  await page.goto(site.url);
  assert.equal(await page.title(), "Glassine");
  await page.waitForSelector("#generate:not(:disabled)");
});

/** Gives a function that waits until the browser has a service worker of which something is so. */
async function watchServiceWorkers(page) {
  const client = await page.createCDPSession();
  const known = new Map();
  const news = new EventEmitter();
  client.on("ServiceWorker.workerVersionUpdated", ({ versions }) => {
    for (const version of versions) known.set(version.versionId, version);
    news.emit("update");
  });
  await client.send("ServiceWorker.enable");
  return async (isSo) => {
    for (;;) {
      const found = [...known.values()].find(isSo);
      if (found) return found;
      await once(news, "update");
    }
  };
}
