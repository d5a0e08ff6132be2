// The engine panics in the middle of a request: the request rejects, and the next one finds a new worker.

import assert from "node:assert/strict";
import { test } from "node:test";
import { open } from "../browser/lib/open.js";
import { PackServer } from "../browser/lib/pack.js";
import { noWorkers } from "./lib/left.js";
import { randomOf, times } from "./lib/random.js";

test("an engine that stops in the middle of a request", async (t) => {
  const page = await open(t, { before: ["wasm-faults"] });
  const { failure, phases, layers } = await page.evaluate(async () => {
    const engine = await glassine.createEngine({ model: "mini", device: "cpu" });
    const options = { prompt: "a red apple", steps: 2, decodePasses: 1 };
    const dying = failureOf(engine.generate(options));
    new BroadcastChannel("wasm").postMessage("panic");
    const failure = await dying;
    const phases = new Set();
    const onProgress = ({ phase }) => phases.add(phase);
    const { layers } = await engine.generate({ ...options, onProgress });
    return { failure, phases: [...phases], layers: layers.length };
  });
  assert.equal(failure.code, "internal", failure.message);
  assert.match(failure.message, /^the engine stopped: /);
  assert.match(failure.hint, /console.*starts the engine anew/);
  assert.equal(failure.recoverable, true);
  assert.deepEqual(phases, ["loading", "encoding", "denoising", "decoding"], "the model is loaded anew");
  assert.equal(layers, 1);
});

test("a model whose parts do not fit is refused before it is loaded", async (t) => {
  const pack = new PackServer();
  pack.breakTransparency();
  const page = await open(t, { pack });
  const { failure, mini } = await page.evaluate(async () => {
    const failure = await failureOf(glassine.createEngine({ model: "/pack/", device: "cpu" }));
    const other = await glassine.createEngine({ model: "mini", device: "cpu" });
    const mini = await other.generate({ prompt: "a red apple", steps: 1, decodePasses: 1 });
    return { failure, mini: mini.layers.length };
  });
  assert.equal(failure.code, "model_unsupported", failure.message);
  assert.match(failure.message, /transparency_decoder.*latent_conv_in/);
  assert.equal(mini, 1);
});

test("a panic at random moments of loading and generating", async (t) => {
  const { below } = randomOf(t);
  const before = ["wasm-faults"];
  const page = await open(t, { before });
  const [loaded, all] = await page.evaluate(async () => {
    let calls = 0;
    new BroadcastChannel("wasm").onmessage = ({ data }) => (calls = data);
    window.create = async () => (window.engine = await glassine.createEngine({ model: "mini", device: "cpu" }));
    window.generate = () => engine.generate({ prompt: "a red apple", seed: 1, steps: 1, mode: "opaque" });
    await create();
    const loaded = calls;
    await generate();
    await engine.dispose();
    return [loaded, calls];
  });
  let loading = 0;
  for (let time = 0; time < times(6); time++) {
    const trap = time % 2 ? 1 + below(loaded) : loaded + 1 + below(all - loaded);
    before[0] = `wasm-faults?trap=${trap}`;
    const created = await page.evaluate(() => failureOf(create()));
    if (created.code === "none") {
      const generated = await page.evaluate(() => failureOf(generate()));
      assert.equal(generated.code, "internal", `${trap} of ${all}: ${generated.message}`);
    } else {
      assert.equal(created.code, "internal", `${trap} of ${all}: ${created.message}`);
      await noWorkers(page);
      loading += 1;
    }
    before[0] = "wasm-faults";
    const layers = await page.evaluate(async (loaded) => {
      if (!loaded) await create();
      const { layers } = await generate();
      await engine.dispose();
      return layers.length;
    }, created.code === "none");
    assert.equal(layers, 1);
    await noWorkers(page);
  }
  t.diagnostic(`${times(6)} panics in the first ${all} calls, ${loading} of them while loading`);
});
