// LoRAs that are merged into a model as it is loaded.

import assert from "node:assert/strict";
import { test } from "node:test";
import { miniLora } from "../lib/lora.js";
import { open } from "../lib/open.js";
import { PackServer } from "../lib/pack.js";

test("a LoRA changes the picture by its strength, also when the engine is rebuilt", async (t) => {
  const page = await open(t, { pack: new PackServer(), before: ["wasm-faults"] });
  await page.evaluate((bytes) => {
    window.file = new File([new Uint8Array(bytes)], "plain.safetensors");
    window.start = (loras) => glassine.createEngine({ model: "/pack/", device: "cpu", loras });
    window.generate = async (engine) => {
      const { layers } = await engine.generate({ prompt: "a red apple", mode: "opaque", seed: 1, steps: 1 });
      return { rgba: Array.from(layers[0].imageData.data), recipe: layers[0].recipe };
    };
  }, Array.from(miniLora()));

  const pictureWith = (strengths) =>
    page.evaluate(async (strengths) => {
      const engine = await start(strengths?.map((strength) => ({ file, strength })));
      const picture = await generate(engine);
      await engine.dispose();
      return picture;
    }, strengths);
  const plain = await pictureWith(undefined);
  assert.equal(plain.recipe.loras, undefined);
  assert.deepEqual((await pictureWith([0])).rgba, plain.rgba);
  const changed = await pictureWith([0.5]);
  assert.notDeepEqual(changed.rgba, plain.rgba);
  assert.deepEqual(changed.recipe.loras, [{ name: "plain.safetensors", strength: 0.5 }]);
  assert.deepEqual((await pictureWith([0.25, 0.25])).recipe.loras.length, 2);

  const { code, rebuilt } = await page.evaluate(async () => {
    const engine = await start([{ file: new Uint8Array(await file.arrayBuffer()), strength: 0.5 }]);
    const dying = failureOf(generate(engine));
    new BroadcastChannel("wasm").postMessage("panic");
    const { code } = await dying;
    return { code, rebuilt: await generate(engine) };
  });
  assert.equal(code, "internal");
  assert.deepEqual(rebuilt.rgba, changed.rgba);
});

test("what is no LoRA is refused", async (t) => {
  const page = await open(t);
  const failures = await page.evaluate(async () => {
    const given = [
      "lora.safetensors",
      [{ file: "lora.safetensors" }],
      [null],
      [{ file: new Blob(), strength: "much" }],
      [{ file: new URL("/nothing.safetensors", location.href) }],
      [{ file: new File(["no"], "note.safetensors") }],
    ];
    return Promise.all(given.map((loras) => failureOf(glassine.createEngine({ model: "mini", device: "cpu", loras }))));
  });
  assert.deepEqual(
    failures.map(({ code }) => code),
    ["bad_option", "bad_option", "bad_option", "bad_option", "model_not_found", "model_damaged"],
  );
  assert.match(failures[3].message, /much/);
  assert.match(failures[5].message, /note\.safetensors/);
  assert.equal(failures[5].recoverable, false);
});
