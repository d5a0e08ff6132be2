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
  assert.deepEqual(passes.map(({ pass }) => pass), [0, 1, 2, 3, 4, 5, 6, 7, 8], "each pass once");
  assert.equal(new Set(events.map((event) => JSON.stringify(event))).size, events.length, "nothing is said twice");
  assert.ok(passes.every((event) => event.passes === 8));
});

test("previews go to a function of their own, at every step unless fewer are asked for", async (t) => {
  const page = await open(t);
  const { every, second, phases, side } = await page.evaluate(async () => {
    const engine = await glassine.createEngine({ model: "mini", device: "cpu" });
    const made = async (options) => {
      const seen = [];
      const onPreview = (preview, at) => seen.push([preview instanceof ImageData, preview.width, at]);
      const { layers } = await engine.generate({ prompt: "a red apple", seed: 1, steps: 4, decodePasses: 1, onPreview, ...options });
      return { seen, recipe: Object.keys(layers[0].recipe) };
    };
    const phases = new Set();
    return {
      every: await made({}),
      second: await made({ previewEvery: 2, onProgress: ({ phase }) => phases.add(phase) }),
      phases: [...phases],
      side: engine.info.defaults.width / 8,
    };
  });
  assert.deepEqual(every.seen, [1, 2, 3, 4].map((step) => [true, side, { step, steps: 4 }]));
  assert.deepEqual(second.seen, [2, 4].map((step) => [true, side, { step, steps: 4 }]));
  assert.ok(phases.includes("denoising") && phases.includes("decoding"), "progress goes on");
  assert.ok(!every.recipe.includes("onPreview") && !every.recipe.includes("previewEvery"), every.recipe.join());
});

function assertNeverBack(values) {
  assert.deepEqual(values, [...values].sort((a, b) => a - b));
}
