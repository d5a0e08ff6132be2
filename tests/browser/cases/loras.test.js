// LoRAs of an engine, and of a request.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { miniLora } from "../lib/lora.js";
import { open } from "../lib/open.js";
import { PackServer } from "../lib/pack.js";

/** As the web UIs know the file: of what follows its header. */
function hashOf(bytes) {
  const file = Buffer.from(bytes);
  return createHash("sha256").update(file.subarray(8 + Number(file.readBigUInt64LE(0)))).digest("hex");
}

const hash = hashOf(miniLora());

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
  assert.deepEqual(changed.recipe.loras, [{ name: "plain", strength: 0.5, hash }]);
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

test("a request has LoRAs of its own, whose strength changes without anything being loaded", async (t) => {
  const pack = new PackServer();
  const page = await open(t, { pack });
  const expected = await page.evaluate(async (bytes) => {
    window.bytes = new Uint8Array(bytes);
    window.file = new File([window.bytes], "Plain.safetensors");
    window.picture = async (engine, options) => {
      const given = { prompt: "a red apple", mode: "opaque", seed: 1, steps: 1, ...options };
      const { layers, loras, warnings } = await engine.generate(given);
      return { rgba: Array.from(layers[0].imageData.data), recipe: layers[0].recipe, loras, warnings };
    };
    const own = await glassine.createEngine({ model: "/pack/", device: "cpu", loras: [{ file, strength: 0.5 }] });
    const expected = await picture(own, {});
    await own.dispose();
    window.engine = await glassine.createEngine({ model: "/pack/", device: "cpu" });
    return expected;
  }, Array.from(miniLora()));
  const read = pack.requests.length;
  const { before, half, tagged, none, chosen, right, after } = await page.evaluate(async () => {
    const before = await picture(engine, {});
    const half = await picture(engine, { loras: [{ file, strength: 0.5 }] });
    const tagged = await picture(engine, { prompt: "a red apple<lora:plain:0.5>", loras: [{ file }] });
    const named = { file: bytes, name: "mine", strength: 0, textEncoderStrength: 1 };
    const none = await picture(engine, { prompt: "a red apple<lora:plain:1>", loras: [named] });
    const other = { file: new Uint8Array(bytes), name: "Plain", strength: 0.5, hash: "00000000" };
    other.file[other.file.length - 1] ^= 1;
    const chosen = await picture(engine, { loras: [other, { file, strength: 0.5, hash: other.hash.replaceAll("0", "f") }] });
    const [{ hash }] = half.loras;
    const right = await picture(engine, { loras: [{ ...other, hash }, { file, strength: 0.5, hash: hash.slice(0, 12) }] });
    return { before, half, tagged, none, chosen, right, after: await picture(engine, {}) };
  });
  assert.equal(pack.requests.length, read);
  assert.notDeepEqual(half.rgba, before.rgba);
  assert.deepEqual(half.rgba, expected.rgba);
  assert.deepEqual(tagged.rgba, expected.rgba);
  assert.deepEqual(half.recipe.loras, [{ name: "Plain", strength: 0.5, hash }]);
  assert.deepEqual(tagged.loras, half.loras);
  assert.deepEqual(none.rgba, before.rgba);
  assert.deepEqual(none.loras, [{ name: "mine", strength: 0, textEncoderStrength: 1, hash }]);
  assert.match(none.warnings[0], /<lora:plain:1>.*mine/);
  // Of two files of one name the hash decides; where none has it, the first is used.
  assert.equal(chosen.loras.length, 1);
  assert.match(chosen.warnings.join(), /no file of the LoRA Plain has the hash 00000000/);
  assert.deepEqual(right.rgba, half.rgba);
  assert.deepEqual(right.loras, half.loras);
  assert.match(right.warnings.join(), /a file of the LoRA Plain is left out/);
  assert.deepEqual(after.rgba, before.rgba);
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
    const refusals = await Promise.all(
      given.map((loras) => failureOf(glassine.createEngine({ model: "mini", device: "cpu", loras }))),
    );
    const engine = await glassine.createEngine({ model: "mini", device: "cpu" });
    window.ofRequests = await Promise.all(given.map((loras) => failureOf(engine.generate({ prompt: "a cat", loras }))));
    return refusals;
  });
  assert.deepEqual(await page.evaluate(() => ofRequests), failures);
  assert.deepEqual(
    failures.map(({ code }) => code),
    ["bad_option", "model_not_found", "bad_option", "bad_option", "model_not_found", "model_damaged"],
  );
  assert.match(failures[3].message, /much/);
  assert.match(failures[5].message, /note\.safetensors/);
  assert.equal(failures[5].recoverable, false);
});
