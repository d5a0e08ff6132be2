// Makes one picture with the demo page in a headless Chromium:
// node once.js --prompt TEXT --out FILE.png [--device auto|cpu|webgpu] [--seed N]

import { rename, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { launch } from "./lib/chromium.js";
import { serveFolder } from "./lib/site.js";

const { values } = parseArgs({
  options: {
    prompt: { type: "string" },
    out: { type: "string" },
    device: { type: "string", default: "auto" },
    seed: { type: "string", default: "7" },
  },
});

try {
  await once(values);
} catch (error) {
  console.error(`error: ${error.message}`);
  process.exitCode = 1;
}

async function once({ prompt, out, device, seed }) {
  if (!prompt || !out) throw new Error("a prompt and a file are needed: scripts/demo --once PROMPT OUT.png");
  if (!["auto", "cpu", "webgpu"].includes(device)) throw new Error(`unknown device ${device}: use auto, cpu or webgpu`);
  if (!/^\d+$/.test(seed)) throw new Error(`the seed must be a whole number, not ${seed}`);

  const site = await serveFolder(fileURLToPath(new URL("../../www/dist/", import.meta.url)));
  const chromium = await launchFor(device, site.url);
  try {
    const page = await chromium.browser.newPage();
    await page.goto(`${site.url}?${new URLSearchParams({ prompt, seed, device, auto: "1" })}`);
    const result = await page.evaluate(() =>
      window.glassineResult.catch((error) => ({ error: [error.message, error.hint].filter(Boolean).join(". ") })),
    );
    if (result.error) throw new Error(result.error);
    await writeFile(`${out}.part`, Buffer.from(result.png, "base64"));
    await rename(`${out}.part`, out);
    const seconds = Object.entries(result.timings).map(([phase, ms]) => `${phase} ${(ms / 1000).toFixed(2)} s`);
    console.log(`${out}: ${result.width} x ${result.height} on ${result.device} (${seconds.join(", ")})`);
  } finally {
    await chromium.close();
    await site.close();
  }
}

/** WebGPU on a machine without a GPU is Chromium's emulation of it. */
async function launchFor(device, url) {
  const chromium = await launch("any");
  if (device !== "webgpu") return chromium;
  const page = await chromium.browser.newPage();
  await page.goto(url);
  if (await page.evaluate(async () => Boolean(await navigator.gpu?.requestAdapter()))) return chromium;
  await chromium.close();
  console.error("no GPU here: WebGPU is emulated in software, which is slow");
  return launch("software");
}
