// The GPU is lost or the engine panics in the middle of a request: the request
// rejects, and the next one finds a new worker.

import assert from "node:assert/strict";
import { test } from "node:test";
import { open } from "../lib/open.js";
import { PackServer } from "../lib/pack.js";

/** Starts a long request, as `request`, and waits until it is denoising. */
const startRequest = (page, device) =>
  page.evaluate(async (device) => {
    window.engine = await glassine.createEngine({ model: "mini", device });
    await new Promise((resolve) => {
      const onProgress = ({ phase }) => phase === "denoising" && resolve();
      window.request = failureOf(engine.generate({ prompt: "a red apple", seed: 1, steps: 100, onProgress }));
    });
  }, device);

/** The phases of a request that is let go when it has read the prompt and begins to denoise. */
async function nextRequest(page) {
  return page.evaluate(async () => {
    const controller = new AbortController();
    const phases = new Set();
    const failure = await failureOf(
      engine.generate({
        prompt: "a red apple",
        signal: controller.signal,
        onProgress({ phase }) {
          phases.add(phase);
          if (phase === "denoising") controller.abort();
        },
      }),
    );
    return { phases: [...phases], code: failure.code };
  });
}

// The model is loaded anew, and the new device has computed something.
const startedAnew = { phases: ["loading", "encoding", "denoising"], code: "aborted" };

test("a lost GPU rejects the request, and the next one works", async (t) => {
  const page = await open(t, { gpu: "software", before: ["lose-gpu"] });
  await startRequest(page, "webgpu");
  const failure = await page.evaluate(() => {
    new BroadcastChannel("lose-gpu").postMessage("now");
    return request;
  });
  assert.equal(failure.code, "device_lost", failure.message);
  t.diagnostic(failure.message);
  assert.equal(failure.recoverable, true);
  assert.deepEqual(await nextRequest(page), startedAnew);
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
  assert.match(said.join("\n"), /panicked at .*channels/s, "the console says what it was");
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
