// The GPU is lost or the engine stops in the middle of a request: the request
// rejects, and the next one finds a new worker.

import assert from "node:assert/strict";
import { test } from "node:test";
import { open } from "../lib/open.js";

/** Starts a long request and gives its worker, as the browser's debugger sees it, once it is denoising. */
async function startRequest(page, device) {
  await page.evaluate(async (device) => {
    window.engine = await glassine.createEngine({ model: "mini", device });
    await new Promise((resolve) => {
      window.request = failureOf(
        engine.generate({
          prompt: "a red apple",
          seed: 1,
          steps: 100,
          onProgress: ({ phase }) => phase === "denoising" && resolve(),
        }),
      );
    });
  }, device);
  return page.workers()[0].client;
}

/** Finds every GPU device that lives in the worker and destroys it. */
async function destroyDevices(worker) {
  const { result: prototype } = await worker.send("Runtime.evaluate", { expression: "GPUDevice.prototype" });
  const { objects } = await worker.send("Runtime.queryObjects", { prototypeObjectId: prototype.objectId });
  await worker.send("Runtime.callFunctionOn", {
    objectId: objects.objectId,
    functionDeclaration: "function () { for (const device of this) device.destroy(); }",
  });
}

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
  // Once seen: the debugger's connection to the worker stopped answering. A second browser gets a
  // second chance; an engine that never rejects fails both.
  const late = Symbol("late");
  const limit = new Promise((resolve) => setTimeout(resolve, 150_000, late).unref());
  if ((await Promise.race([loseGpu(t), limit])) === late) {
    t.diagnostic("no answer in 150 seconds: once more");
    await loseGpu(t);
  }
});

async function loseGpu(t) {
  const page = await open(t, { gpu: "software" });
  const worker = await startRequest(page, "webgpu");

  await destroyDevices(worker).catch((error) => t.diagnostic(error.message));

  const failure = await page.evaluate(() => request);
  assert.equal(failure.code, "device_lost", failure.message);
  t.diagnostic(failure.message);
  assert.equal(failure.recoverable, true);
  assert.deepEqual(await nextRequest(page), startedAnew);
}

test("a trap in the engine rejects the request, and the next one works", async (t) => {
  const page = await open(t);
  const worker = await startRequest(page, "cpu");

  await worker.send("Runtime.evaluate", {
    expression: "setTimeout(() => { throw new WebAssembly.RuntimeError('unreachable'); })",
  });

  const failure = await page.evaluate(() => request);
  assert.equal(failure.code, "internal");
  assert.match(failure.message, /unreachable/);
  assert.deepEqual(await nextRequest(page), startedAnew);
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
    const running = failureOf(engine.generate({ prompt: "a red apple", steps: 100 }));
    const waiting = failureOf(engine.generate({ prompt: "a pear" }));
    await new Promise((resolve) => setTimeout(resolve, 100));
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
