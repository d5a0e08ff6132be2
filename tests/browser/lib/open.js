import { launch } from "./chromium.js";
import { serveTests } from "./site.js";

/**
 * Opens the test page for the length of one test, or of a file of them. In it,
 * `glassine` is the built package, `models` that of "glassine/models", and
 * `failureOf(promise)` gives the fields of a rejection. Under /pack/ is `pack`:
 * a model's folder, or what a pack server answers. `before` is for the worker: see
 * `serveTests`.
 */
export async function open(t, { gpu = "none", pack, before } = {}) {
  const site = await serveTests(pack, before);
  const { browser, close } = await launch(gpu);
  t.after(async () => {
    await close();
    await site.close();
  });
  return openTab(t, browser, site.url);
}

/** Opens the test page once more, in a browser that has it open. */
export async function openTab(t, browser, url) {
  const page = await browser.newPage();
  page.on("pageerror", (error) => t.diagnostic(`page: ${error.message}`));
  await page.goto(url);
  await page.waitForFunction(() => window.models);
  await page.evaluate(() => {
    window.failureOf = (promise) =>
      promise.then(
        () => ({ code: "none", message: "it succeeded" }),
        ({ code, name, message, hint, recoverable }) => ({ code, name, message, hint, recoverable }),
      );
  });
  return page;
}

/** What lib/worker/memory.js has counted in the worker of the page's only engine. */
export function memoryUse(page) {
  const worker = page.workers().find((worker) => worker.url().endsWith("/internal/worker/engine.js"));
  return worker.evaluate(() => memoryUse());
}

/** How alike two lists of numbers are: 1 is the same direction. */
export function cosine(a, b) {
  const dot = (x, y) => x.reduce((sum, value, i) => sum + value * y[i], 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}
