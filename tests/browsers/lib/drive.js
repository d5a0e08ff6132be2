// Starts the browsers that are tested beside Chromium, and Chromium with the same interface: `name` with the version,
// `newPage()` and `close()`. A page has `goto(url)`, `evaluate(work, ...args)` and `close()`.

import { launch } from "../../browser/lib/chromium.js";
import { launchFirefox } from "../../browser/lib/firefox.js";
import { launchWebKit } from "./webkit.js";

async function withName(launched) {
  const { browser, close } = await launched;
  return { name: await browser.version(), newPage: () => browser.newPage(), close };
}

const launchers = {
  chromium: () => withName(launch("none")),
  firefox: () => withName(launchFirefox()),
  webkit: launchWebKit,
};

/** The browsers to test: those that GLASSINE_BROWSERS names, or Chromium and Firefox. */
export const wanted = (process.env.GLASSINE_BROWSERS ?? "chromium,firefox").split(",");

/** Starts a browser by its name. */
export function start(name) {
  if (launchers[name]) return launchers[name]();
  throw new Error(`GLASSINE_BROWSERS has ${name}: there are ${Object.keys(launchers).join(", ")}`);
}
