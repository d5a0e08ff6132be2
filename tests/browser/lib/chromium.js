// Starts a real Chromium, as tests and the headless demo need it.

import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import puppeteer from "puppeteer-core";
import { findLavapipe } from "./lavapipe.js";

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

const withoutWebGpu = "--disable-features=WebGPU";

const gpuFlags = {
  none: [withoutWebGpu],
  // Pages are composited as on a GPU, in floating point. Without one, Chromium rounds to bytes at every operation.
  compositing: [withoutWebGpu, "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"],
  software: softwareGpu,
  // So that an adapter says what it is.
  lavapipe: [...softwareGpu, "--enable-webgpu-developer-features"],
  any: ["--enable-unsafe-webgpu"],
};

/** What has Chromium take lavapipe for its own emulation: see lavapipe.c, which is compiled into `folder`. */
function lavapipeVariables(folder) {
  const lavapipe = findLavapipe();
  if (!lavapipe) throw new Error("there is no lavapipe: install Mesa's Vulkan drivers, version 25 or newer");
  const library = join(folder, "lavapipe.so");
  const source = fileURLToPath(new URL("./lavapipe.c", import.meta.url));
  execFileSync("cc", ["-O1", "-shared", "-fPIC", "-fvisibility=hidden", "-o", library, source]);
  return { LD_PRELOAD: library, VK_DRIVER_FILES: lavapipe };
}

/**
 * Launches Chromium. `gpu` is "software" for emulated WebGPU, "lavapipe" for
 * Mesa's emulation, which is faster, "none" for no WebGPU, "compositing" for none but
 * pages that are composited by an emulated GPU, and "any" for what the machine has. The profile is an empty one, unless that of an earlier browser is
 * given; closing removes it.
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
      ...gpuFlags[gpu],
    ],
    env: { ...process.env, ...(gpu === "lavapipe" && lavapipeVariables(userDataDir)) },
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
