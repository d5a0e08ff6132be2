// Starts a real Chromium, as tests and the headless demo need it.

import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import puppeteer from "puppeteer-core";

const candidates = [
  process.env.CHROMIUM,
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

const quiet = [
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-default-apps",
  "--disable-quic",
  "--disable-sync",
];

// Chromium's own software GPU, for machines that have none. It is slow enough to
// be taken for hung.
const softwareGpu = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--disable-gpu-watchdog"];

/**
 * Launches Chromium. `gpu` is "software" for emulated WebGPU, "none" for no WebGPU,
 * and "any" for what the machine has. The profile is an empty one, unless that of
 * an earlier browser is given; closing removes it.
 */
export async function launch(gpu = "any", profile) {
  const executablePath = candidates.find((path) => path && existsSync(path));
  if (!executablePath) throw new Error("no Chromium: install it, or set CHROMIUM to its path");
  const userDataDir = profile ?? (await mkdtemp(join(tmpdir(), "glassine-chromium-")));
  const browser = await puppeteer.launch({
    executablePath,
    userDataDir,
    headless: true,
    protocolTimeout: 0,
    args: [
      ...quiet,
      ...(process.getuid?.() === 0 || process.env.CI ? ["--no-sandbox"] : []),
      ...(gpu === "software" ? softwareGpu : gpu === "none" ? ["--disable-features=WebGPU"] : ["--enable-unsafe-webgpu"]),
    ],
  });
  return {
    browser,
    profile: userDataDir,
    async close() {
      await browser.close();
      await rm(userDataDir, { recursive: true, force: true });
    },
  };
}
