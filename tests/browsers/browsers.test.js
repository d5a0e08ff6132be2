// The package and the demo page in each browser: the same list of what a page does, with the same pixels.

import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { hangUp, PackServer } from "../browser/lib/pack.js";
import { serveFolder, serveTests } from "../browser/lib/site.js";
import { start, wanted } from "./lib/drive.js";

/** Opens the test page. In it, `sha256(bytes)`, `generate(engine, options)` and `failureOf(promise)` are there. */
async function openTests(page, url) {
  await page.goto(url);
  await page.evaluate(async () => {
    while (!window.models) await new Promise((resolve) => setTimeout(resolve, 20));
    window.sha256 = async (bytes) =>
      Array.from(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)), (byte) => byte.toString(16).padStart(2, "0")).join("");
    window.generate = async (engine, options) => {
      const { layers } = await engine.generate({ prompt: "a red apple", width: 64, height: 64, seed: 1, steps: 2, decodePasses: 1, ...options });
      return layers[0];
    };
    window.failureOf = (promise) => promise.then(() => ({ code: "none" }), ({ code, name, message }) => ({ code, name, message }));
  });
}

const generates = async () => {
  const engine = await glassine.createEngine({ model: "mini", device: "cpu" });
  const layer = await generate(engine);
  const [, , , ...alphas] = layer.imageData.data;
  const png = await layer.toBlob();
  await engine.dispose();
  return {
    pixels: await sha256(layer.imageData.data),
    png: await sha256(await png.arrayBuffer()),
    size: [layer.width, layer.height],
    alphas: new Set(alphas.filter((_, index) => index % 4 === 0)).size,
  };
};

const aborts = async () => {
  const engine = await glassine.createEngine({ model: "mini", device: "cpu" });
  const controller = new AbortController();
  const onProgress = ({ phase }) => phase === "denoising" && controller.abort();
  const failure = await failureOf(generate(engine, { steps: 50, signal: controller.signal, onProgress }));
  const layer = await generate(engine);
  await engine.dispose();
  return { failure, pixels: await sha256(layer.imageData.data) };
};

const imports = async () => {
  const phases = new Set();
  await models.import("/pack/", { name: "apple", onProgress: ({ phase }) => phases.add(phase) });
  const { intact } = await models.verify("apple");
  return { intact, phases: [...phases] };
};

const loads = async () => {
  const listed = (await models.list()).find(({ name }) => name === "apple");
  const engine = await glassine.createEngine({ model: "apple", device: "cpu" });
  const layer = await generate(engine);
  await engine.dispose();
  return { complete: listed.complete, pixels: await sha256(layer.imageData.data), removed: await models.remove("apple") };
};

const doesWithoutStorage = async () => {
  const { code } = await failureOf(models.import("/pack/", { name: "apple" }));
  const engine = await glassine.createEngine({ model: "/pack/", device: "cpu" });
  const layer = await generate(engine);
  await engine.dispose();
  return { code, pixels: await sha256(layer.imageData.data) };
};

const composes = async () => {
  const scene = new glassine.Scene(64, 64, { background: "#80c0ff" });
  const picture = (alpha) => new ImageData(Uint8ClampedArray.from({ length: 64 * 64 * 4 }, (_, i) => (i % 4 === 3 ? alpha : (i * 7) % 256)), 64, 64);
  scene.add(picture(255), { name: "behind", opacity: 0.5 });
  scene.add(picture(100), { name: "before", x: 8, y: -8, scale: 0.5, blend: "multiply" });
  const flat = await scene.flatten();
  const [ora, psd] = [await scene.toOra(), await scene.toPsd()];
  const json = JSON.stringify(scene.toJSON());
  return {
    flat: await sha256(flat.imageData.data),
    ora: await sha256(await ora.arrayBuffer()),
    psd: await sha256(await psd.arrayBuffer()),
    json,
  };
};

const onGpu = async () => {
  if (!(await navigator.gpu?.requestAdapter())) return { code: "none", most: undefined };
  const options = { mode: "opaque" };
  const pictures = [];
  for (const device of ["cpu", "webgpu"]) {
    const engine = await glassine.createEngine({ model: "mini", device });
    if (engine.info.device !== device) return { code: `it took the ${engine.info.device}` };
    pictures.push((await generate(engine, options)).imageData.data);
    await engine.dispose();
  }
  const [cpu, gpu] = pictures;
  return { code: "none", most: cpu.reduce((most, value, index) => Math.max(most, Math.abs(value - gpu[index])), 0) };
};

/** What the first browser gave, for the others to give, too. */
const given = new Map();

function assertAsInOthers(what, result) {
  if (!given.has(what)) given.set(what, result);
  assert.deepEqual(result, given.get(what), `${what} is as in the first browser`);
}

for (const name of wanted) {
  test(name, async (t) => {
    const browser = await start(name);
    t.after(() => browser.close());
    t.diagnostic(browser.name);
    const page = await browser.newPage();
    const pack = new PackServer();
    const site = await serveTests(pack);
    t.after(() => site.close());
    await openTests(page, site.url);

    await t.test("generate", async () => {
      const { alphas, size, ...hashes } = await page.evaluate(generates);
      assert.deepEqual(size, [64, 64]);
      assert.ok(alphas > 10, `there are ${alphas} kinds of alpha`);
      assertAsInOthers("the picture", hashes);
    });
    await t.test("abort", async () => {
      const { failure, pixels } = await page.evaluate(aborts);
      assert.deepEqual([failure.code, failure.name], ["aborted", "AbortError"]);
      assert.equal(pixels, given.get("the picture").pixels);
    });
    const keeps = await page.evaluate(async () => Boolean(await navigator.storage?.getDirectory().catch(() => false)));
    if (!keeps) {
      await t.test("no storage: an import says so, and a model is loaded by URL", async () => {
        const { pixels } = given.get("the picture");
        assert.deepEqual(await page.evaluate(doesWithoutStorage), { code: "storage_unavailable", pixels });
      });
    }
    const skip = !keeps && `${browser.name} has no storage for models`;
    await t.test("import", { skip }, async () => {
      assert.deepEqual(await page.evaluate(imports), { intact: true, phases: ["downloading"] });
    });
    await t.test("reload, and load what is stored", { skip }, async () => {
      await openTests(page, site.url);
      pack.faults.set("*", hangUp);
      const { pixels } = given.get("the picture");
      assert.deepEqual(await page.evaluate(loads), { complete: true, pixels, removed: true });
    });
    await t.test("scene", async () => {
      assertAsInOthers("the scene", await page.evaluate(composes));
    });
    await t.test("offline", () => offline(page));
    await t.test("a small picture on WebGPU", { skip: name === "chromium" && "see tests/browser/cases" }, async (t) => {
      await openTests(page, site.url);
      const { code, most } = await page.evaluate(onGpu);
      assert.equal(code, "none");
      if (most === undefined) return t.skip(`${browser.name} gives no adapter`);
      t.diagnostic(`off by ${most} from the CPU's picture at most`);
      assert.ok(most <= 8);
    });
  });
}

/** The demo page makes a picture once its server is gone. */
async function offline(page) {
  const site = await serveFolder(fileURLToPath(new URL("../../www/dist/", import.meta.url)));
  await page.goto(`${site.url}?device=cpu`);
  await page.evaluate(async () => {
    await navigator.serviceWorker.ready;
    while (document.querySelector("#generate").disabled) await new Promise((resolve) => setTimeout(resolve, 50));
  });
  await site.close();
  await page.goto(`${site.url}?seed=7&prompt=a+red+apple&device=cpu&steps=1&auto=1`);
  const beginning = await page.evaluate(async () => atob((await glassineResult).png).slice(1, 4));
  assert.equal(beginning, "PNG");
}
