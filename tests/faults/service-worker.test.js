// The demo page's service worker is updated in the middle of things, or its update is cut.

import assert from "node:assert/strict";
import { cp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { extname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { scratch } from "../browser/lib/native.js";
import { sharedBrowser } from "../browser/lib/shared-browser.js";
import { serveFolder } from "../browser/lib/site.js";

const dist = fileURLToPath(new URL("../../www/dist/", import.meta.url));

/** Serves a copy of the demo page, and gives its first visit, when everything is kept. */
async function visit(t) {
  const folder = scratch(t);
  await cp(dist, folder, { recursive: true });
  const site = await serveFolder(folder);
  t.after(() => site.close());
  const page = await (await sharedBrowser("none")).newPage();
  t.after(() => page.close());
  await page.goto(`${site.url}?device=cpu`);
  await page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
  await ready(page);
  return { folder, site, page };
}

const ready = (page) => page.waitForSelector("#generate:not(:disabled)");

/** Publishes a version whose files all have other names, and none of the earlier ones. */
async function publish(folder, version) {
  const names = await readdir(join(folder, "assets"));
  const newName = (name) => name.replace(/[^.]*/, (stem) => `${stem}-${version}`);
  for (const name of names) await rename(join(folder, "assets", name), join(folder, "assets", newName(name)));
  const texts = [...names.map((name) => `assets/${newName(name)}`), ...(await readdir(folder))];
  for (const file of texts.filter((file) => [".js", ".css", ".html"].includes(extname(file)))) {
    let text = await readFile(join(folder, file), "utf8");
    for (const name of names) text = text.replaceAll(name, newName(name));
    text = text.replace(/const version = "\w+"/, `const version = "${version}"`).replace(/<title>.*?<\/title>/, `<title>${version}</title>`);
    await writeFile(join(folder, file), text);
  }
}

/** Has the page look for a newer service worker, and gives the state in which that one ends up. */
const update = (page) =>
  page.evaluate(async () => {
    const registration = await navigator.serviceWorker.ready;
    await registration.update().catch(() => {});
    const worker = registration.installing ?? registration.waiting;
    if (!worker) return "none";
    while (!["installed", "redundant"].includes(worker.state)) {
      await new Promise((resolve) => worker.addEventListener("statechange", resolve, { once: true }));
    }
    return worker.state;
  });


test("a new version is published while the page is at work: the page goes on with its own files", async (t) => {
  const { folder, site, page } = await visit(t);
  await page.goto(`${site.url}?device=cpu&steps=50&prompt=a+red+apple`);
  await ready(page);
  await page.click("#generate");
  await publish(folder, "newer");
  assert.equal(await update(page), "installed");
  await ready(page);

  // Its engine's files are no longer on the server: a new engine takes those that were kept.
  const { failure, title } = await page.evaluate(async () => {
    const files = performance.getEntriesByType("resource").map(({ name }) => name);
    const old = files.find((name) => /engine-[^/]*\.js$/.test(name));
    const answer = await fetch(old);
    return { failure: answer.ok ? "none" : String(answer.status), title: document.title };
  });
  assert.equal(failure, "none");
  assert.notEqual(title, "newer");

  await page.goto(`${site.url}?device=cpu`);
  assert.equal(await page.title(), "newer");
  await ready(page);
});

test("an update that is cut leaves the version before, which works without a network", async (t) => {
  const { folder, site, page } = await visit(t);
  await publish(folder, "newer");
  // Half of the new files are not there yet.
  const names = (await readdir(join(folder, "assets"))).sort();
  for (const name of names.filter((_, index) => index % 2)) await rm(join(folder, "assets", name));
  assert.equal(await update(page), "redundant");
  await site.close();
  await page.goto(`${site.url}?device=cpu&steps=1&prompt=a+red+apple&auto=1`);
  const { png } = await page.evaluate(() => glassineResult);
  assert.equal(Buffer.from(png, "base64").subarray(1, 4).toString(), "PNG");
  assert.notEqual(await page.title(), "newer");
});
