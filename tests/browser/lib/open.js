import { launch } from "./chromium.js";
import { serveTests } from "./site.js";

/**
 * Opens the test page for the length of one test, or of a file of them. In it,
 * `glassine` is the built package, `models` that of "glassine/models", and
 * `failureOf(promise)` gives the fields of a rejection. Under /pack/ is `pack`:
 * a model's folder, or what a pack server answers.
 */
export async function open(t, { gpu = "none", pack } = {}) {
  const site = await serveTests(pack);
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

/** How alike two lists of numbers are: 1 is the same direction. */
export function cosine(a, b) {
  const dot = (x, y) => x.reduce((sum, value, i) => sum + value * y[i], 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}
