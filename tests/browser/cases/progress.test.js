// Progress reports what has happened, in order.

import assert from "node:assert/strict";
import { test } from "node:test";
import { open } from "../lib/open.js";

test("loading counts up to the size of the model", async (t) => {
  const page = await open(t);
  const { events, bytes } = await page.evaluate(async () => {
    const { models } = await import("/glassine/dist/models.js");
    const events = [];
    await glassine.createEngine({ model: "mini", onProgress: (event) => events.push(event) });
    const [mini] = await models.list();
    return { events, bytes: mini.bytes };
  });
  assert.ok(events.length > 0);
  assert.ok(events.every(({ phase }) => phase === "loading"));
  assertNeverBack(events.map(({ loadedBytes }) => loadedBytes));
  const { loadedBytes, totalBytes } = events.at(-1);
  assert.equal(loadedBytes, totalBytes);
  // The manifest itself need not be counted.
  assert.ok(totalBytes <= bytes && totalBytes > bytes * 0.9);
});

test("a request reports its phases in order, each step once, and previews", async (t) => {
  const page = await open(t);
  const events = await page.evaluate(async () => {
    const engine = await glassine.createEngine({ model: "mini" });
    const events = [];
    await engine.generate({
      prompt: "a red apple",
      seed: 1,
      steps: 4,
      previewEvery: 2,
      decodePasses: 8,
      onProgress: ({ preview, ...event }) => {
        if (preview) event.preview = [preview.width, preview.height, preview.data.length];
        events.push(event);
      },
    });
    return events;
  });
  const phases = ["encoding", "denoising", "decoding"];
  const requestEvents = events.filter(({ phase }) => phase !== "loading");
  assertNeverBack(requestEvents.map(({ phase }) => phases.indexOf(phase)));
  assert.deepEqual([...new Set(requestEvents.map(({ phase }) => phase))], phases);

  const steps = events.filter(({ phase }) => phase === "denoising");
  assertNeverBack(steps.map(({ step }) => step));
  assert.deepEqual([...new Set(steps.map(({ step }) => step))].filter((step) => step > 0), [1, 2, 3, 4]);
  assert.ok(steps.every((event) => event.steps === 4));
  const previews = steps.filter(({ preview }) => preview);
  assert.deepEqual(previews.map(({ step }) => step), [2, 4]);
  for (const { preview: [width, height, length] } of previews) assert.equal(length, width * height * 4);

  const passes = events.filter(({ phase }) => phase === "decoding");
  assertNeverBack(passes.map(({ pass }) => pass));
  assert.equal(passes.at(-1).pass, 8);
  assert.ok(passes.every((event) => event.passes === 8));
});

function assertNeverBack(values) {
  assert.deepEqual(values, [...values].sort((a, b) => a - b));
}
