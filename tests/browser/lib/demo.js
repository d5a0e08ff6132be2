// The demo page, opened as a visitor would.

import { fileURLToPath } from "node:url";
import { sharedBrowser } from "./shared-browser.js";
import { serveFolder } from "./site.js";

/**
 * Opens the demo page for the length of one test. Under /pack/ is `pack`, as for the test page. With `withSite` it
 * gives the page's site, too, for tests that end it. `gpu` is the browser's: see `launch`. Only where it is to be
 * `offline`, later, does the page keep itself with all its files, which takes longer than most tests.
 */
export async function openDemo(t, query, pack, { withSite = false, gpu = "none", offline = false } = {}) {
  const except = offline ? [] : ["/service-worker.js"];
  const site = await serveFolder(fileURLToPath(new URL("../../../www/dist/", import.meta.url)), pack, { except });
  t.after(() => site.close());
  const page = await (await sharedBrowser(gpu)).newPage();
  t.after(() => page.isClosed() || page.close());
  await page.goto(site.url + query);
  return withSite ? { page, site } : page;
}

/** Opens the demo page with its panel of models unfolded. */
export async function openPanel(t, pack) {
  const page = await openDemo(t, "", pack);
  await unfoldModels(page);
  return page;
}

/** Unfolds the panel of models, and waits for its list, which moves what is below it. */
export async function unfoldModels(page) {
  await page.click("#models summary");
  await page.waitForSelector("#modelList li");
}

/** How often what takes a while is looked for: else it is at every frame, for which the page is drawn. */
export const seldom = { polling: 100 };

/** Waits until the text of an element matches a pattern. */
export const textIs = (page, selector, pattern) =>
  page.waitForFunction(
    (selector, source) => new RegExp(source).test(document.querySelector(selector)?.textContent ?? ""),
    seldom,
    selector,
    pattern,
  );

/** Presses the button of the open dialog whose text matches a pattern. */
export async function answer(page, pattern) {
  const find = (source) =>
    [...document.querySelectorAll("dialog[open] button")].find((button) => new RegExp(source).test(button.textContent));
  const button = await page.waitForFunction(find, {}, pattern);
  await button.click();
}

/** The rows of the panel's list of models, each with its buttons. */
export const modelRows = (page) =>
  page.$eval("#modelList", ({ children }) => [...children].map((item) => item.innerText.replace(/\s+/g, " ")));
