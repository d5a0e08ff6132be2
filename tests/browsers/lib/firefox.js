// Firefox, which puppeteer drives by WebDriver BiDi.

import { existsSync } from "node:fs";
import puppeteer from "../../browser/node_modules/puppeteer-core/lib/esm/puppeteer/puppeteer-core.js";

const candidates = [
  process.env.FIREFOX,
  "/usr/bin/firefox-esr",
  "/usr/bin/firefox",
  "/Applications/Firefox.app/Contents/MacOS/firefox",
];

/** Mesa's emulation of a GPU, which Firefox takes for its own where it is told to. */
const lavapipe = "/usr/share/vulkan/icd.d/lvp_icd.json";

export async function launchFirefox() {
  const executablePath = candidates.find((path) => path && existsSync(path));
  if (!executablePath) throw new Error("no Firefox: install firefox-esr, or set FIREFOX to its path");
  const browser = await puppeteer.launch({
    browser: "firefox",
    executablePath,
    headless: true,
    protocolTimeout: 0,
    extraPrefsFirefox: { "dom.webgpu.enabled": true, "dom.webgpu.workers.enabled": true, "gfx.webgpu.ignore-blocklist": true },
    env: { ...process.env, ...(existsSync(lavapipe) && { VK_DRIVER_FILES: lavapipe }) },
  });
  return { name: await browser.version(), newPage: () => browser.newPage(), close: () => browser.close() };
}
