// The GPU is lost or the engine panics in the middle of a request: the request
// rejects, and the next one finds a new worker.

import assert from "node:assert/strict";
import { test } from "node:test";
import { open } from "../lib/open.js";
import { PackServer } from "../lib/pack.js";

/** Starts a long request, as `request`, and waits until it is in a phase. */
const startRequest = (page, phase) =>
  page.evaluate(
    (phase) =>
      new Promise((resolve) => {
        const onProgress = (event) => event.phase === phase && resolve();
        window.request = failureOf(engine.generate({ prompt: "a red apple", seed: 1, steps: 100, onProgress }));
      }),
    phase,
  );

/** Has the worker's GPU meet a fault (see lib/worker/gpu-faults.js), and gives the failure of `request`. */
const failGpu = (page, fault) =>
  page.evaluate((fault) => {
    new BroadcastChannel("gpu-faults").postMessage(fault);
    return request;
  }, fault);

/** The phases of a request that is let go in the last of them. */
const nextRequest = (page, last) =>
  page.evaluate(async (last) => {
    const controller = new AbortController();
    const phases = new Set();
    const onProgress = ({ phase }) => {
      phases.add(phase);
      if (phase === last) controller.abort();
    };
    const { code } = await failureOf(engine.generate({ prompt: "a red apple", signal: controller.signal, onProgress }));
    return { phases: [...phases], code };
  }, last);

test("a GPU that is lost or full rejects the request, and the next one works", async (t) => {
  const page = await open(t, { gpu: "software", before: ["gpu-faults"] });
  await page.evaluate(async () => (window.engine = await glassine.createEngine({ model: "mini", device: "webgpu" })));
  await startRequest(page, "denoising");
  const lost = await failGpu(page, "lost");
  t.diagnostic(lost.message);
  assert.equal(lost.code, "device_lost", lost.message);
  assert.equal(lost.recoverable, true);
  // The model is loaded anew, and the new device computes something.
  const computed = { phases: ["loading", "encoding", "denoising"], code: "aborted" };
  assert.deepEqual(await nextRequest(page, "denoising"), computed);

  await startRequest(page, "encoding");
  const full = await failGpu(page, "full");
  assert.equal(full.code, "out_of_memory", full.message);
  assert.match(full.message, /no room for a buffer/);
  assert.equal(full.recoverable, true);
  assert.deepEqual(await nextRequest(page, "encoding"), { phases: ["loading", "encoding"], code: "aborted" });
});

test("a panic in the engine rejects the request, and the next one works", async (t) => {
  const pack = new PackServer();
  pack.breakTransparency();
  const page = await open(t, { pack });
  const said = [];
  page.on("console", (message) => message.type() === "error" && said.push(message.text()));

  const { failure, opaque, phases, again, mini } = await page.evaluate(async () => {
    const engine = await glassine.createEngine({ model: "/pack/", device: "cpu" });
    const options = { prompt: "a red apple", steps: 1, decodePasses: 1 };
    const failure = await failureOf(engine.generate(options));
    const phases = new Set();
    const onProgress = ({ phase }) => phases.add(phase);
    const opaque = await engine.generate({ ...options, mode: "opaque", onProgress });
    const again = await failureOf(engine.generate(options));
    const other = await glassine.createEngine({ model: "mini", device: "cpu" });
    const mini = await other.generate(options);
    return { failure, opaque: opaque.layers.length, phases: [...phases], again, mini: mini.layers.length };
  });
  assert.equal(failure.code, "internal", failure.message);
  assert.match(failure.message, /the engine stopped: unreachable/);
  assert.match(failure.hint, /console.*starts the engine anew/);
  assert.equal(failure.recoverable, true);
  assert.match(said.join("\n"), /panicked at .*shape/s, "the console says what it was");
  assert.equal(opaque, 1);
  assert.deepEqual(phases, ["loading", "encoding", "denoising", "decoding"], "the model is loaded anew");
  assert.equal(again.code, "internal");
  assert.equal(mini, 1);
});

test("a worker that cannot be loaded", async (t) => {
  const page = await open(t);
  await page.setRequestInterception(true);
  page.on("request", (request) =>
    request.url().endsWith("/worker/engine.js") ? request.respond({ status: 404 }) : request.continue(),
  );
  const failure = await page.evaluate(() => failureOf(glassine.createEngine({ model: "mini" })));
  assert.equal(failure.code, "worker_failed");
  assert.ok(failure.hint.length > 0);
});

test("disposing an engine rejects what is not finished", async (t) => {
  const page = await open(t);
  const { running, waiting, after } = await page.evaluate(async () => {
    const engine = await glassine.createEngine({ model: "mini" });
    let running;
    await new Promise((resolve) => {
      running = failureOf(engine.generate({ prompt: "a red apple", steps: 100, onProgress: resolve }));
    });
    const waiting = failureOf(engine.generate({ prompt: "a pear" }));
    await engine[Symbol.asyncDispose]();
    await engine.dispose();
    return {
      running: await running,
      waiting: await waiting,
      after: await failureOf(engine.generate({ prompt: "a plum" })),
    };
  });
  assert.equal(running.code, "disposed");
  assert.equal(waiting.code, "disposed");
  assert.equal(after.code, "disposed");
  if (page.workers().length > 0) await new Promise((resolve) => page.once("workerdestroyed", resolve));
});
