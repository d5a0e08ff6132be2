// engine.addLayer: scenes that are made layer by layer.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { PNG } from "pngjs";
import { packTinyModel, packWithoutLayers } from "../lib/golden.js";
import { glassine, scratch } from "../lib/native.js";
import { open } from "../lib/open.js";

test("the first layer of a scene needs no adapter, the next ones name theirs", async (t) => {
  const page = await open(t, { pack: packWithoutLayers(scratch(t)) });
  const { layer, same, phases, failures, count } = await page.evaluate(async () => {
    const engine = await glassine.createEngine({ model: "/pack/", device: "cpu" });
    const scene = new glassine.Scene(64, 64);
    const options = { prompt: "a red apple", seed: 7, steps: 1, decodePasses: 1 };
    const phases = new Set();
    const layer = await engine.addLayer(scene, { ...options, onProgress: ({ phase }) => phases.add(phase) });
    const failures = {
      front: await failureOf(engine.addLayer(scene, options)),
      behind: await failureOf(engine.addLayer(scene, { ...options, where: "behind" })),
      size: await failureOf(engine.addLayer(new glassine.Scene(100, 64), options)),
      place: await failureOf(engine.addLayer(scene, { ...options, where: "left" })),
      mode: await failureOf(engine.addLayer(scene, { ...options, mode: "opaque" })),
      unknown: await failureOf(engine.addLayer(scene, { ...options, stesp: 1 })),
      prompt: await failureOf(engine.addLayer(scene)),
    };
    const same = scene.layers[0] === layer;
    return { layer, same, phases: [...phases], failures, count: scene.layers.length };
  });
  assert.ok(same);
  assert.equal(layer.name, "a red apple");
  assert.equal(layer.recipe.mode, "single");
  assert.deepEqual(phases, ["encoding", "denoising", "decoding"]);
  assert.equal(failures.front.code, "unsupported_mode");
  assert.match(failures.front.message, /layer_sd15_bg2fg\.safetensors/);
  assert.equal(failures.behind.code, "unsupported_mode");
  assert.match(failures.behind.message, /layer_sd15_fg2bg\.safetensors/);
  assert.match(failures.size.message, /width 100/);
  for (const name of ["size", "place", "mode", "unknown", "prompt"]) assert.equal(failures[name].code, "bad_option", name);
  assert.equal(count, 1);
});

test("the built-in model has every mode, and builds a scene in all of them", async (t) => {
  const page = await open(t);
  const { modes, layers, joint } = await page.evaluate(async () => {
    const engine = await glassine.createEngine({ model: "mini", device: "cpu" });
    const { width, height } = engine.info.defaults;
    const options = { seed: 7, steps: 4 };
    const scene = new glassine.Scene(width, height);
    await engine.addLayer(scene, { ...options, prompt: "a meadow", where: "behind" });
    await engine.addLayer(scene, { ...options, prompt: "a tree" });
    const other = new glassine.Scene(width, height);
    await engine.addLayer(other, { ...options, prompt: "a swan" });
    await engine.addLayer(other, { ...options, prompt: "a lake", where: "behind" });
    const made = await engine.generate({ ...options, mode: "joint", prompt: "a swan on a lake" });
    const alphas = ({ imageData: { data } }) => new Set(data.filter((_, index) => index % 4 === 3)).size;
    return {
      modes: engine.info.modes,
      layers: [...scene.images.values(), ...other.images.values()].map((layer) => [layer.recipe.mode, alphas(layer) > 1]),
      joint: made.layers.map((layer) => [layer.role, alphas(layer) > 1]),
    };
  });
  assert.deepEqual([...modes].sort(), ["bg2fg", "fg2bg", "joint", "opaque", "single"]);
  assert.deepEqual(Object.fromEntries(layers), { opaque: false, bg2fg: true, fg2bg: false, single: true });
  assert.deepEqual(joint, [["foreground", true], ["background", false], ["blended", false]]);
});

test("behind an empty scene goes an opaque picture, and what is aborted adds nothing", async (t) => {
  const page = await open(t);
  const { modes, failure, count } = await page.evaluate(async () => {
    const engine = await glassine.createEngine({ model: "mini", device: "cpu" });
    const options = { prompt: "a red apple", steps: 2, decodePasses: 1 };
    const scene = new glassine.Scene(64, 64);
    const controller = new AbortController();
    const onProgress = ({ phase }) => phase === "decoding" && controller.abort();
    const failure = await failureOf(engine.addLayer(scene, { ...options, signal: controller.signal, onProgress }));
    const count = scene.layers.length;
    scene.add(new ImageData(64, 64), { visible: false });
    await engine.addLayer(scene, { ...options, where: "behind" });
    return { failure, count, modes: scene.layers.map(({ recipe }) => recipe?.mode ?? null) };
  });
  assert.equal(failure.code, "aborted");
  assert.equal(count, 0);
  assert.deepEqual(modes, ["opaque", null]);
});

test("layers in a row are those of glassine generate in a row", async (t) => {
  const folder = scratch(t);
  const pack = packTinyModel(folder);
  const page = await open(t, { pack });
  // All of them at once: each one waits for those before it.
  const additions = [
    { prompt: "an apple", seed: 1 },
    { prompt: "a cat", seed: 2 },
    { prompt: "a table", seed: 3, where: "behind" },
    { prompt: "a hat", seed: 4, where: "front" },
  ];
  const layers = await page.evaluate(async (additions) => {
    const engine = await glassine.createEngine({ model: "/pack/", device: "cpu" });
    const scene = new glassine.Scene(128, 64, { background: "#80c0ff" });
    const common = { steps: 2, decodePasses: 1 };
    await Promise.all(additions.map((options) => engine.addLayer(scene, { ...common, ...options })));
    return scene.layers.map(({ name, role, recipe, image }) => ({
      ...{ name, role, mode: recipe.mode },
      rgba: Array.from(scene.images.get(image).imageData.data),
    }));
  }, additions);
  assert.deepEqual(
    layers.map(({ name, role, mode }) => `${name}, ${role}, ${mode}`),
    ["a table, background, fg2bg", "an apple, foreground, single", "a cat, foreground, bg2fg", "a hat, foreground, bg2fg"],
  );
  // The random model turns a small difference below into a large one above: each layer is compared
  // with what the command line makes of the browser's own layers before it.
  for (const [i, addition] of additions.entries()) {
    const before = additions.slice(0, i).map(({ prompt }) => prompt);
    const below = layers.filter(({ name }) => before.includes(name));
    const expected = generateNatively(folder, pack, below, addition);
    const { rgba } = layers.find(({ name }) => name === addition.prompt);
    const off = expected.map((value, i) => Math.abs(value - rgba[i]));
    const most = off.reduce((a, b) => Math.max(a, b));
    const equal = off.filter((value) => value === 0).length / off.length;
    t.diagnostic(`${addition.prompt}: ${(100 * equal).toFixed(2)} % of the bytes are equal, and none is off by more than ${most}`);
    // The limits of the golden cases.
    assert.ok(equal >= 0.97 && most <= 2, addition.prompt);
  }
});

/** The pixels of one addition to a scene of these layers, made on the command line. */
function generateNatively(folder, pack, layers, { prompt, seed, where }) {
  const behind = where === "behind";
  const mode = layers.length === 0 ? "single" : behind ? "fg2bg" : "bg2fg";
  const file = (name) => join(folder, name);
  const image = (name) => `${name}.png`;
  for (const { name, rgba } of layers) {
    const png = new PNG({ width: 128, height: 64 });
    png.data.set(rgba);
    writeFileSync(file(image(name)), PNG.sync.write(png));
  }
  const background = behind ? "#00000000" : "#80c0ff";
  const scene = { width: 128, height: 64, background, layers: layers.map(({ name }) => ({ image: image(name) })) };
  writeFileSync(file("scene.json"), JSON.stringify(scene));
  glassine("compose", file("scene.json"), "--out", file("flat.png"));
  glassine(
    "generate",
    ...["--model", pack, "--prompt", prompt, "--seed", String(seed), "--mode", mode],
    ...["--width", "128", "--height", "64", "--steps", "2", "--decode-passes", "1"],
    ...(mode === "single" ? [] : [behind ? "--foreground" : "--background", file("flat.png")]),
    ...["--out", file("made.png")],
  );
  const made = mode === "single" ? "made.png" : `made.${behind ? "background" : "foreground"}.png`;
  return Array.from(PNG.sync.read(readFileSync(file(made))).data);
}
