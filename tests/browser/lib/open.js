import { launch } from "./chromium.js";
import { serveTests } from "./site.js";

/**
 * Opens the test page for the length of one test, or of a file of them. `pack` is the folder of a
 * model, which is then at /pack/. In the page, `glassine` is the built package and `failureOf(promise)` gives the fields of a rejection.
 */
export async function open(t, { gpu = "none", pack } = {}) {
  const site = await serveTests(pack);
  const { browser, close } = await launch(gpu);
  t.after(async () => {
    await close();
    await site.close();
  });
  const page = await browser.newPage();
  page.on("pageerror", (error) => t.diagnostic(`page: ${error.message}`));
  await page.goto(site.url);
  await page.waitForFunction(() => window.glassine);
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
