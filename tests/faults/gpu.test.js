// The GPU is lost or full: in each phase, and twice in a row. The request rejects, and the next one works.

import assert from "node:assert/strict";
import { test } from "node:test";
import { open } from "../browser/lib/open.js";
import { noWorkers } from "./lib/left.js";
import { times } from "./lib/random.js";

const codes = { lost: "device_lost", full: "out_of_memory" };

/** Gives the page what the tests do in it. Its GPU does nothing but be lost: see lib/worker/empty-shaders.js. */
async function openWithGpu(t, before) {
  const page = await open(t, { gpu: "software", before });
  await page.evaluate(() => {
    window.create = (options) => glassine.createEngine({ model: "mini", device: "webgpu", ...options });
    window.generate = (options) => engine.generate({ prompt: "a red apple", seed: 1, ...options });
    const workers = [];
    let next;
    window.Worker = class extends Worker {
      constructor(...options) {
        super(...options);
        workers.push(this);
        if (next) this.postMessage(next);
      }
    };
    /** Has the GPU meet a fault as soon as `start`'s work is in a phase; gives the failure and the phases until then. */
    window.failIn = async (phase, fault, start) => {
      next = { phase, fault };
      for (const worker of workers) worker.postMessage(next);
      const phases = new Set();
      const failure = await failureOf(start({ onProgress: (event) => phases.add(event.phase) }));
      next = undefined;
      return { ...failure, phases: [...phases] };
    };
  });
  return page;
}

const failIn = (page, phase, fault, what) =>
  page.evaluate((phase, fault, what) => failIn(phase, fault, what === "load" ? create : (options) => generate({ steps: 100, ...options })), phase, fault, what);

function assertFailed({ code, message, hint, recoverable }, fault, where) {
  assert.equal(code, codes[fault], `${where}: ${message}`);
  assert.ok(recoverable && hint.length > 0);
}

for (const fault of ["lost", "full"]) {
  test(`a GPU that is ${fault} in each phase, and in the next request again`, async (t) => {
    const page = await openWithGpu(t, ["empty-shaders", "gpu-faults"]);
    // The device is the last thing to be made: loading may be over before it is lost.
    const loading = await failIn(page, "loading", fault, "load");
    if (loading.code !== "none") assertFailed(loading, fault, "loading");
    await noWorkers(page);
    await page.evaluate(async () => (window.engine = await create()));
    let count = 1;
    for (let time = 0; time < times(1); time++) {
      for (const phase of ["encoding", "denoising", "decoding"]) {
        const first = await failIn(page, phase, fault, "generate");
        assertFailed(first, fault, phase);
        // The next one is hit again, while the engine is being rebuilt.
        const second = await failIn(page, "loading", fault, "generate");
        assertFailed(second, fault, `loading after ${phase}`);
        assert.equal(second.phases[0], "loading");
        const { layers, phases } = await page.evaluate(async () => {
          const phases = new Set();
          const { layers } = await generate({ steps: 1, onProgress: ({ phase }) => phases.add(phase) });
          return { layers: layers.length, phases: [...phases] };
        });
        assert.equal(layers, 1);
        assert.deepEqual(phases, ["loading", "encoding", "denoising", "decoding"]);
        await noWorkers(page, 1);
        count += 2;
      }
    }
    t.diagnostic(`${count} times`);
  });
}
