import { openTestPage } from "./page.js";
import { sharedBrowser, sharedFirefox } from "./shared-browser.js";
import { serveTests } from "./site.js";

/**
 * Opens the test page (see `openTestPage`) for the length of one test, or of a file of them, in the
 * file's Chromium with this GPU, or in its Firefox, which has WebGPU. Its site is the test's own, and so is all that the browser stores for it. Under
 * /pack/ is `pack`: a model's folder, or what a pack server answers. `before`, `faults` and `policy` are for the
 * site: see `serveTests`.
 */
export async function open(t, { gpu = "none", firefox = false, pack, before, ...faults } = {}) {
  const site = await serveTests(pack, before, faults);
  t.after(() => site.close());
  return openTab(t, await (firefox ? sharedFirefox() : sharedBrowser(gpu)), site.url);
}

/** Opens the test page once more, in a browser that may have it open. */
export async function openTab(t, browser, url) {
  const page = await openTestPage(browser, url, (message) => t.diagnostic(message));
  // A browser may end before: that of a file before what is open for the whole of it, others when they are killed.
  t.after(() => browser.connected && !page.isClosed() && page.close());
  return page;
}
