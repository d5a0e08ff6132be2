// The package's own test page, in whichever browser.

/**
 * Opens the test page. In it, `glassine` is the built package, `models` that of "glassine/models", and
 * `failureOf(promise)` gives the fields of a rejection. `report` is told of errors that nobody catches.
 */
export async function openTestPage(browser, url, report) {
  const page = await browser.newPage();
  page.on("pageerror", (error) => report(`page: ${error.message}`));
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
export const memoryUse = (page) => engineWorker(page).evaluate(() => memoryUse());

/** What lib/worker/messages.js has noted in the worker of the page's only engine. */
export const messageTypes = (page) => engineWorker(page).evaluate(() => messageTypes());

/** What lib/worker/ledger.js has counted in the worker of the page's only engine. */
export const ledger = (page) => engineWorker(page).evaluate(() => ledger());

const engineWorker = (page) => page.workers().find((worker) => worker.url().endsWith("/internal/worker/engine.js"));

/** How alike two lists of numbers are: 1 is the same direction. */
export function cosine(a, b) {
  const dot = (x, y) => x.reduce((sum, value, i) => sum + value * y[i], 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}
