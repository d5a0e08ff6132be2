// An AbortSignal stops whatever it was given to, and disposing an engine all that it does.

import assert from "node:assert/strict";
import { test } from "node:test";
import { open } from "../lib/open.js";
import { messageTypes } from "../lib/page.js";

test("aborting a running request stops it within one step", async (t) => {
  const page = await open(t, { before: ["messages"] });
  const { failure, reason, order } = await page.evaluate(async () => {
    const engine = await glassine.createEngine({ model: "mini" });
    const controller = new AbortController();
    const reason = new Error("changed my mind");
    const order = [];
    const first = engine.generate({
      prompt: "a red apple",
      seed: 1,
      steps: 50,
      signal: controller.signal,
      onProgress: ({ phase, step }) => {
        if (controller.signal.aborted) order.push("reported");
        if (phase !== "denoising" || step !== 2) return;
        controller.abort(reason);
        setTimeout(() => order.push("next task"));
      },
    });
    const failing = failureOf(first.finally(() => order.push("rejected")));
    // This one waits until the worker has stopped the first.
    await engine.generate({ prompt: "a red apple", seed: 1, steps: 1, decodePasses: 1 });
    order.push("next request");
    return { failure: await failing, reason: await first.catch(({ cause }) => cause === reason), order };
  });
  assert.equal(failure.code, "aborted");
  assert.equal(failure.name, "AbortError");
  assert.match(failure.message, /changed my mind/);
  assert.ok(reason, "the signal's reason is the error's cause");
  assert.deepEqual(order, ["rejected", "next task", "next request"], "it rejects at once, and reports nothing more");

  const messages = await messageTypes(page);
  const abort = messages.indexOf("abort");
  const step = messages.slice(messages.indexOf("generate"), abort).filter((type) => type === "progress").length;
  t.diagnostic(`the worker was told after ${step} reports`);
  assert.ok(step < 50, "the worker hears of it between two steps");
  assert.equal(messages[abort + 1], "failed", "and does no other step");
});

test("a step that takes too long to be waited for is left, and the next request loads the model anew", async (t) => {
  const page = await open(t);
  const { failure, layers, started } = await page.evaluate(async () => {
    let started = 0;
    window.Worker = class extends Worker {
      constructor(...given) {
        super(...given);
        started++;
      }
    };
    const engine = await glassine.createEngine({ model: "mini", device: "cpu" });
    const large = { prompt: "a red apple", width: 2048, height: 2048, steps: 1 };
    const failure = await failureOf(engine.generate({ ...large, signal: AbortSignal.timeout(2000) }));
    const { layers } = await engine.generate({ prompt: "a red apple", steps: 1, decodePasses: 1 });
    return { failure, layers: layers.length, started };
  });
  assert.equal(failure.code, "aborted");
  assert.equal(layers, 1);
  assert.equal(started, 2, "workers: one that was left, and another");
});

test("aborting a request that waits takes it out of the queue", async (t) => {
  const page = await open(t);
  const result = await page.evaluate(async () => {
    const engine = await glassine.createEngine({ model: "mini" });
    const controller = new AbortController();
    let started = false;
    let firstDone = false;
    const first = engine.generate({ prompt: "a red apple", seed: 1, steps: 3, decodePasses: 1 }).then(() => (firstDone = true));
    const second = failureOf(
      engine.generate({ prompt: "a pear", signal: controller.signal, onProgress: () => (started = true) }),
    );
    controller.abort();
    const failure = await second;
    const early = !firstDone;
    await first;
    return { failure, early, started };
  });
  assert.equal(result.failure.code, "aborted");
  assert.ok(result.early, "it does not wait for the request before it");
  assert.equal(result.started, false);
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

test("a signal that has already fired, and one that fires while the model loads", async (t) => {
  const page = await open(t);
  const [already, loading, generating] = await page.evaluate(async () => {
    const already = await failureOf(glassine.createEngine({ model: "mini", signal: AbortSignal.abort() }));
    const controller = new AbortController();
    const loading = await failureOf(
      glassine.createEngine({ model: "mini", signal: controller.signal, onProgress: () => controller.abort() }),
    );
    const engine = await glassine.createEngine({ model: "mini" });
    const generating = await failureOf(engine.generate({ prompt: "a red apple", signal: AbortSignal.abort() }));
    return [already, loading, generating];
  });
  for (const failure of [already, loading, generating]) {
    assert.equal(failure.code, "aborted");
    assert.equal(failure.name, "AbortError");
  }
  assert.equal(page.workers().length, 1, "an engine that was not made leaves no worker");
});

test("engines that are let go of right after the call, as a page that mounts twice does, leave no worker", async (t) => {
  const page = await open(t);
  const codes = await page.evaluate(async () => {
    const attempt = () => {
      const controller = new AbortController();
      const failure = failureOf(glassine.createEngine({ model: "mini", device: "cpu", signal: controller.signal }));
      controller.abort();
      return failure;
    };
    const failures = [];
    for (let count = 0; count < 3; count++) failures.push((await attempt()).code);
    return failures;
  });
  assert.deepEqual(codes, ["aborted", "aborted", "aborted"]);
  while (page.workers().length > 0) await new Promise((resolve) => page.once("workerdestroyed", resolve));
});

test("an abort while a worker that died is being replaced is the request's own", async (t) => {
  const page = await open(t, { before: ["wasm-faults"] });
  const { died, aborted, next } = await page.evaluate(async () => {
    const engine = await glassine.createEngine({ model: "mini", device: "cpu" });
    const options = { prompt: "a red apple", steps: 1, decodePasses: 1 };
    const dying = failureOf(engine.generate(options));
    new BroadcastChannel("wasm").postMessage("panic");
    const died = await dying;
    const controller = new AbortController();
    const init = new Blob();
    // A file that is read after the abort.
    init.arrayBuffer = () => new Promise((resolve) => controller.signal.addEventListener("abort", () => setTimeout(() => resolve(new ArrayBuffer(8)))));
    const aborted = failureOf(engine.generate({ ...options, mode: "opaque", init, signal: controller.signal }));
    setTimeout(() => controller.abort());
    return { died: died.code, aborted: (await aborted).code, next: await failureOf(engine.generate({ ...options, mode: "opaque" })) };
  });
  assert.deepEqual([died, aborted], ["internal", "aborted"]);
  assert.equal(next.code, "none", next.message);
});
