// An AbortSignal stops whatever it was given to.

import assert from "node:assert/strict";
import { test } from "node:test";
import { open } from "../lib/open.js";

test("aborting a running request stops it within one step", async (t) => {
  const page = await open(t);
  const result = await page.evaluate(async () => {
    const engine = await glassine.createEngine({ model: "mini" });
    const controller = new AbortController();
    const reason = new Error("changed my mind");
    const at = { steps: [] };
    const first = failureOf(
      engine
        .generate({
          prompt: "a red apple",
          seed: 1,
          steps: 50,
          signal: controller.signal,
          onProgress: ({ phase, step }) => {
            if (phase !== "denoising") return;
            at.steps.push(performance.now());
            if (step === 2) {
              at.aborted = performance.now();
              controller.abort(reason);
            }
          },
        })
        .catch((error) => {
          at.rejected = performance.now();
          at.cause = error.cause === reason;
          throw error;
        }),
    );
    // This one waits until the worker has stopped the first.
    await engine.generate({
      prompt: "a red apple",
      seed: 1,
      steps: 1,
      decodePasses: 1,
      onProgress: () => (at.next ??= performance.now()),
    });
    return { failure: await first, at };
  });
  assert.equal(result.failure.code, "aborted");
  assert.equal(result.failure.name, "AbortError");
  assert.match(result.failure.message, /changed my mind/);
  assert.ok(result.at.cause, "the signal's reason is the error's cause");

  const { steps, aborted, rejected, next } = result.at;
  assert.ok(rejected - aborted < 50, "the promise rejects at once");
  assert.ok(steps.at(-1) <= aborted, "nothing is reported after the abort");
  const step = steps.at(-1) - steps.at(-2);
  t.diagnostic(`a step takes ${step.toFixed(0)} ms; the next request began ${(next - aborted).toFixed(0)} ms after the abort`);
  assert.ok(next - aborted < 3 * step + 500, "the worker stops soon after");
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
});
