// The worker's script or the engine's module is missing, is a web page, cannot be read, or is blocked by the page's
// policy: every way into the package says so, and nothing is left.

import assert from "node:assert/strict";
import { test } from "node:test";
import { readmePolicy } from "../browser/lib/site.js";
import { open } from "../browser/lib/open.js";
import { assertTidy, noWorkers } from "./lib/left.js";

/** Everything that starts a worker, and the file that it starts; gives the failure. */
const ways = {
  engine: () => failureOf(glassine.createEngine({ model: "mini", device: "cpu" }).then((engine) => engine.dispose())),
  models: () => failureOf(models.import(new File([new Uint8Array(100)], "model.safetensors"), { name: "apple" })),
  compose: async () => {
    const scene = new glassine.Scene(8, 8);
    const failure = await failureOf(scene.flatten());
    scene.dispose();
    return failure;
  },
};
const modules = { engine: /\/glassine_bg\.wasm$/, models: /\/glassine_bg\.wasm$/, compose: /\/compose_bg\.wasm$/ };

const status = (code) => (response) => response.writeHead(code).end();
const webPage = (response) => response.writeHead(200, { "content-type": "text/html" }).end("<!doctype html><title>Welcome</title>");
const hangUp = (response) => response.destroy();
const noise = (type) => (response) => response.writeHead(200, { "content-type": type }).end("neither one nor the other");
const answers = [
  ["404", status(404)],
  ["503", status(503)],
  ["a web page", webPage],
  ["a broken connection", hangUp],
];

/** Asserts that a page's call fails and says that its worker did; what the browser says is the caller's to see. */
async function assertWorkerFails(page, way) {
  const { code, message, hint } = await page.evaluate(ways[way]);
  assert.equal(code, "worker_failed", `${way}: ${message}`);
  assert.ok(message.length > 0 && hint.length > 0);
  await noWorkers(page);
  assert.deepEqual(await assertTidy(page), []);
}

for (const [way, module] of Object.entries(modules)) {
  test(`the worker of ${way} and its module are not to be had`, async (t) => {
    const faults = new Map();
    const page = await open(t, { faults });
    const files = { "the worker": [new RegExp(`/workers?/${way}\\.js$`), "text/javascript"], "its module": [module, "application/wasm"] };
    for (const [file, [pattern, type]] of Object.entries(files)) {
      for (const [what, answer] of [...answers, ["noise", noise(type)]]) {
        await t.test(`${file}: ${what}`, async () => {
          faults.clear();
          faults.set(pattern, answer);
          await assertWorkerFails(page, way);
        });
      }
    }
    faults.clear();
    const { code } = await page.evaluate(ways[way]);
    assert.equal(code, way === "models" ? "model_damaged" : "none", "it works once the files are there");
  });
}

for (const [what, from, to] of [
  ["no worker", "worker-src 'self'", "worker-src 'none'"],
  ["no module", " 'wasm-unsafe-eval'", ""],
]) {
  test(`a policy that allows ${what}`, async (t) => {
    const policy = readmePolicy.replace(from, to);
    const page = await open(t, { policy });
    for (const way of Object.keys(modules)) await assertWorkerFails(page, way);
  });
}
