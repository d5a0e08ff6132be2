// Firefox, which puppeteer drives by WebDriver BiDi.

import { existsSync } from "node:fs";
import puppeteer from "puppeteer-core";
import { findLavapipe } from "./lavapipe.js";

const candidates = [
  process.env.FIREFOX,
  "/usr/bin/firefox-esr",
  "/usr/bin/firefox",
  "/Applications/Firefox.app/Contents/MacOS/firefox",
];

/** Launches Firefox, with WebGPU on lavapipe where that is installed. */
export async function launchFirefox() {
  const executablePath = candidates.find((path) => path && existsSync(path));
  if (!executablePath) throw new Error("no Firefox: install firefox-esr, or set FIREFOX to its path");
  const lavapipe = findLavapipe();
  const browser = await puppeteer.launch({
    browser: "firefox",
    executablePath,
    headless: true,
    protocolTimeout: 0,
    extraPrefsFirefox: { "dom.webgpu.enabled": true, "dom.webgpu.workers.enabled": true, "gfx.webgpu.ignore-blocklist": true },
    env: { ...process.env, ...(lavapipe && { VK_DRIVER_FILES: lavapipe }) },
  });
  return { browser, close: () => browser.close() };
}
