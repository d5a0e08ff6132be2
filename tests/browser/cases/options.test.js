// Options that cannot be used are refused, and say why.

import assert from "node:assert/strict";
import { test } from "node:test";
import { packWithoutLayers } from "../lib/golden.js";
import { scratch } from "../lib/native.js";
import { open } from "../lib/open.js";

test("bad options are refused by name and the engine stays usable", async (t) => {
  const page = await open(t);
  const failures = await page.evaluate(async () => {
    const engine = await glassine.createEngine({ model: "mini" });
    const attempt = (options) => failureOf(engine.generate({ prompt: "a red apple", steps: 1, ...options }));
    const failures = {
      steps: await attempt({ steps: 0 }),
      width: await attempt({ width: 100 }),
      preview: await attempt({ previewEvery: 0 }),
      passes: await attempt({ decodePasses: 3 }),
      unknown: await attempt({ stesp: 4 }),
      sampler: await attempt({ sampler: "magic" }),
      mode: await attempt({ mode: "magic" }),
      prompt: await attempt({ prompt: undefined }),
      function: await attempt({ negativePrompt: () => "blurry" }),
      seed: await attempt({ seed: -1 }),
      vae: await attempt({ vae: "small" }),
      seeds: await attempt({ seed: Number.MAX_SAFE_INTEGER, count: 2 }),
      recipe: await attempt({ model: "sha256:0" }),
      hires: await attempt({ hires: {} }),
      variation: await attempt({ variation: { amount: 0.2 } }),
      latent: await failureOf(engine.decode({})),
      nothing: await failureOf(engine.generate()),
      number: await failureOf(engine.enlarge(new ImageData(64, 64), 3)),
      sides: await failureOf(engine.extend(new ImageData(64, 64))),
      scene: await failureOf(engine.addLayer(null, { prompt: "a red apple" })),
      files: await failureOf(models.import(undefined)),
      name: await failureOf(models.nameOf()),
    };
    await engine.generate({ prompt: "a red apple", steps: 1, decodePasses: 1 });
    return failures;
  });
  for (const [option, { code, message, recoverable }] of Object.entries(failures)) {
    t.diagnostic(`${option}: ${message}`);
    assert.equal(code, "bad_option", `${option}: ${message}`);
    assert.ok(message.length > 0);
    assert.equal(recoverable, false, `${option} would fail again`);
  }
});

test("values that are not numbers are an error, and the engine stays usable", async (t) => {
  const page = await open(t);
  const [failure, made] = await page.evaluate(async () => {
    const engine = await glassine.createEngine({ model: "mini" });
    const noise = new Float32Array(4 * 8 * 8).fill(NaN);
    const options = { prompt: "a red apple", steps: 1, decodePasses: 1, width: 64, height: 64 };
    return [await failureOf(engine.generate({ ...options, noise })), (await engine.generate(options)).layers.length];
  });
  assert.equal(failure.code, "non_finite", failure.message);
  assert.equal(made, 1);
});

test("createEngine refuses what it does not know", async (t) => {
  const page = await open(t);
  const [device, model, none] = await page.evaluate(async () => [
    await failureOf(glassine.createEngine({ model: "mini", device: "abacus" })),
    await failureOf(glassine.createEngine({ model: 7 })),
    await failureOf(glassine.createEngine()),
  ]);
  for (const { code, hint } of [device, model, none]) {
    assert.equal(code, "bad_option");
    assert.ok(hint.length > 0);
  }
});

test("a ControlNet and TAESD are refused where the model has none", async (t) => {
  const page = await open(t);
  const failures = await page.evaluate(async () => {
    const engine = await glassine.createEngine({ model: "mini" });
    const options = { prompt: "a red apple", mode: "opaque", steps: 1 };
    const control = new ImageData(64, 64);
    const { latent } = await engine.generate(options);
    return {
      ControlNet: await failureOf(engine.generate({ ...options, control, controlScale: 0.5, controlEnd: 0.5 })),
      TAESD: await failureOf(engine.generate({ ...options, vae: "tiny" })),
      "the tiny VAE": await failureOf(engine.decode(latent, { vae: "tiny" })),
    };
  });
  for (const [part, { code, message }] of Object.entries(failures)) {
    assert.equal(code, "unsupported_mode", message);
    assert.ok(message.includes(part), message);
  }
});

test("a mode that the model has no part for is refused with what is missing", async (t) => {
  const page = await open(t, { pack: packWithoutLayers(scratch(t)) });
  const { missing, failures } = await page.evaluate(async () => {
    const engine = await glassine.createEngine({ model: "/pack/" });
    const { missing } = engine.info;
    const failures = [];
    for (const mode of Object.keys(missing)) {
      failures.push(await failureOf(engine.generate({ prompt: "a red apple", mode, steps: 1 })));
    }
    return { missing, failures };
  });
  assert.deepEqual(Object.keys(missing).sort(), ["bg2fg", "fg2bg", "joint"]);
  assert.ok(Object.values(missing).every((text) => text.length > 0));
  for (const { code } of failures) assert.equal(code, "unsupported_mode");
});
