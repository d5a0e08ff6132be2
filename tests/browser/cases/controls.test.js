// Control pictures: ControlNets' files with a request, several at once, and edges for them to see.

import assert from "node:assert/strict";
import { cpSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { controlNet, packTinyModel } from "../lib/golden.js";
import { miniLora } from "../lib/lora.js";
import { open } from "../lib/open.js";
import { scratch } from "../lib/native.js";

/** Opens the test page beside the tiny model at /pack/ and a ControlNet's file at /pack/pose.safetensors. */
async function openWithModel(t) {
  const pack = packTinyModel(scratch(t));
  cpSync(join(controlNet, "diffusion_pytorch_model.safetensors"), join(pack, "pose.safetensors"));
  const page = await open(t, { pack });
  await page.evaluate(() => {
    window.picture = new ImageData(64, 64);
    picture.data.forEach((_, index) => (picture.data[index] = index % 4 === 3 ? 255 : index % 253));
    window.make = async (engine, options) => {
      let loading = 0;
      const onProgress = ({ phase }) => (loading += phase === "loading");
      const { layers } = await engine.generate({ prompt: "an apple", mode: "opaque", seed: 1, steps: 2, width: 64, height: 64, onProgress, ...options });
      return { rgba: layers[0].imageData.data.join(), recipe: layers[0].recipe, loading };
    };
  });
  return page;
}

test("a ControlNet's file steers as the same one in the pack, however it is given, and is loaded once", async (t) => {
  const page = await openWithModel(t);
  const made = await page.evaluate(async () => {
    const engine = await glassine.createEngine({ model: "/pack/", device: "cpu" });
    const url = new URL("/pack/pose.safetensors", location.href);
    const blob = await (await fetch(url)).blob();
    const bytes = new Uint8Array(await blob.arrayBuffer());
    await models.shelf.add(new File([blob], "Pose.safetensors"));
    const by = (controlnet) => make(engine, { controls: [{ picture, controlnet, scale: 0.5, end: 0.5 }] });
    return {
      free: await make(engine, {}),
      packed: await make(engine, { control: picture, controlScale: 0.5, controlEnd: 0.5 }),
      own: await by(undefined),
      blob: await by(blob),
      again: await by(blob),
      bytes: await by(bytes),
      url: await by(url),
      file: await by(new File([blob], "Depth map.safetensors")),
      shelf: await by("pose"),
      shelfAgain: await by("pose"),
    };
  });
  const { free, packed, ...others } = made;
  assert.notEqual(packed.rgba, free.rgba);
  for (const [way, { rgba }] of Object.entries(others)) assert.equal(rgba, packed.rgba, way);
  assert.ok(made.blob.loading > 0 && made.url.loading > 0 && made.shelf.loading > 0);
  assert.deepEqual([made.again.loading, made.shelfAgain.loading], [0, 0]);

  const steering = { scale: 0.5, start: 0, end: 0.5 };
  const named = (controlnet) => [{ controlnet, ...steering }];
  assert.deepEqual(made.own.recipe.controls, [steering]);
  assert.deepEqual(made.shelf.recipe.controls, named("pose"));
  assert.deepEqual(made.url.recipe.controls, named("pose"));
  assert.deepEqual(made.file.recipe.controls, named("Depth map"));
  assert.equal(packed.recipe.controls, undefined);
});

test("several controls add up, each in its own steps", async (t) => {
  const page = await openWithModel(t);
  const { one, parts, both, inTurn, recipe } = await page.evaluate(async () => {
    const engine = await glassine.createEngine({ model: "/pack/", device: "cpu" });
    const controlnet = await (await fetch("/pack/pose.safetensors")).blob();
    const { rgba: one } = await make(engine, { controls: [{ picture }] });
    const { rgba: parts, recipe } = await make(engine, { controls: [{ picture, scale: 0.25 }, { picture, controlnet, scale: 0.75 }] });
    const { rgba: both } = await make(engine, { control: picture, controls: [{ picture, controlnet }] });
    const { rgba: inTurn } = await make(engine, { controls: [{ picture, end: 0.5 }, { picture, controlnet, start: 0.5 }] });
    return { one, parts, both, inTurn, recipe };
  });
  const off = (one, other) => {
    const [a, b] = [one, other].map((rgba) => rgba.split(",").map(Number));
    return Math.max(...a.map((value, index) => Math.abs(value - b[index])));
  };
  assert.ok(off(parts, one) <= 1 && off(inTurn, one) <= 1);
  assert.ok(off(both, one) > 1);
  assert.deepEqual(
    recipe.controls.map(({ scale, start, end }) => [scale, start, end]),
    [
      [0.25, 0, 1],
      [0.75, 0, 1],
    ],
  );
});

test("what cannot steer is refused with what to do, and the engine stays of use", async (t) => {
  const page = await openWithModel(t);
  const lora = Array.from(miniLora());
  const { failures, after } = await page.evaluate(async (lora) => {
    const engine = await glassine.createEngine({ model: "mini", device: "cpu" });
    const pose = await (await fetch("/pack/pose.safetensors")).blob();
    await models.shelf.add(new File([new Uint8Array(lora)], "Ink.safetensors"));
    const attempt = (...controls) => failureOf(make(engine, { controls }));
    const failures = {
      otherModel: await attempt({ picture, controlnet: new File([pose], "pose.safetensors") }),
      none: await attempt({ picture }),
      unknown: await attempt({ picture, controlnet: "canny" }),
      lora: await attempt({ picture, controlnet: "ink" }),
      noFile: await attempt({ picture, controlnet: 7 }),
      noPicture: await attempt({ controlnet: pose }),
      scale: await attempt({ picture, controlnet: pose, scale: "1" }),
      misspelt: await attempt({ picture, weight: 1 }),
      noList: await failureOf(make(engine, { controls: { picture } })),
    };
    return { failures, after: (await make(engine, { steps: 1 })).rgba.length };
  }, lora);
  const expected = {
    otherModel: ["model_unsupported", /pose\.safetensors/],
    none: ["unsupported_mode", /ControlNet/],
    unknown: ["model_not_found", /"canny"/],
    lora: ["model_not_found", /no ControlNet but a LoRA/],
    noFile: ["bad_option", /controls\[0\]/],
    noPicture: ["bad_image", /controls\[0\]/],
    scale: ["bad_option", /scale/],
    misspelt: ["bad_option", /"weight"/],
    noList: ["bad_option", /list/],
  };
  for (const [what, [code, words]] of Object.entries(expected)) {
    assert.equal(failures[what].code, code, what);
    assert.match(failures[what].message, words, what);
  }
  assert.ok(after > 0);
});

test("edges are white lines on black, of colours or of a layer's outline", async (t) => {
  const page = await open(t);
  const { color, alpha, strict, png, failures, empty } = await page.evaluate(async () => {
    const disc = new ImageData(64, 64);
    for (let index = 0; index < 64 * 64; index += 1) {
      const [x, y] = [index % 64, Math.floor(index / 64)];
      const bright = x < 32 ? 40 : 220;
      disc.data.set([bright, bright, bright, (x - 32) ** 2 + (y - 32) ** 2 > 400 ? 0 : 255], 4 * index);
    }
    /** Where lines are on the middle row. */
    const row = ({ imageData: { data } }) => [...Array(64).keys()].filter((x) => data[4 * (32 * 64 + x)] === 255);
    const scene = new glassine.Scene(64, 64);
    scene.add(disc);
    const file = await (await scene.flatten()).toBlob();
    return {
      color: row(await glassine.edges(disc)),
      alpha: row(await glassine.edges(disc, { of: "alpha" })),
      strict: row(await glassine.edges(disc, { high: 2000 })),
      png: row(await glassine.edges(file, { of: "alpha" })),
      empty: [...new Set((await glassine.edges(new ImageData(3, 1))).imageData.data)],
      failures: [
        await failureOf(glassine.edges(disc, { low: 0 })),
        await failureOf(glassine.edges(disc, { of: "depth" })),
        await failureOf(glassine.edges(disc, { sigma: 1 })),
        await failureOf(glassine.edges("disc")),
        await failureOf(glassine.edges(disc, { signal: AbortSignal.abort() })),
      ],
    };
  });
  const isNear = (found, edges) =>
    found.every((x) => edges.some((edge) => Math.abs(x - edge) <= 2)) && edges.every((edge) => found.some((x) => Math.abs(x - edge) <= 2));
  assert.ok(isNear(color, [12, 32, 52]), color.join());
  assert.ok(isNear(alpha, [12, 52]), alpha.join());
  assert.deepEqual(png, alpha);
  assert.deepEqual(strict, []);
  assert.deepEqual(empty, [0, 255]);
  assert.deepEqual(
    failures.map(({ code }) => code),
    ["bad_option", "bad_option", "bad_option", "bad_image", "aborted"],
  );
});
