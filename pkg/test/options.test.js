// What is said of options that cannot be used: which one, why, and what may have been meant.

import assert from "node:assert/strict";
import { test } from "node:test";
import { configure, createEngine, Scene } from "../dist/index.js";
import { checkKind, checkKinds, checkOptions } from "../dist/internal/page/check-options.js";
import { suggestion } from "../dist/internal/page/suggestions.js";
import { models } from "../dist/models.js";
import { engineOptions, modes, samplers } from "../dist/public/generated.js";

const known = [...engineOptions, "foreground", "background", "init", "control", "signal", "onProgress", "onPreview"];

test("an option of another library is answered with the name that it has here", () => {
  const meant = {
    num_inference_steps: "steps",
    numInferenceSteps: "steps",
    negative_prompt: "negativePrompt",
    guidance_scale: "guidance",
    cfg_scale: "guidance",
    cfgScale: "guidance",
    denoising_strength: "strength",
    init_image: "init",
    image: "init",
    sampler_name: "sampler",
    scheduler: "sampler",
    generator: "seed",
    latents: "noise",
    control_image: "control",
    controlnet_conditioning_scale: "controlScale",
    control_guidance_end: "controlEnd",
    callback_on_step_end: "onProgress",
    callback_steps: "previewEvery",
    stesp: "steps",
    Prompt: "prompt",
    widht: "width",
  };
  for (const [name, option] of Object.entries(meant)) {
    assert.throws(() => checkOptions("generate", { [name]: 1 }, known), {
      code: "bad_option",
      message: `there is no option "${name}" for generate`,
      hint: `Did you mean ${option}?`,
    });
  }
  assert.throws(() => checkOptions("generate", { colour: 1 }, known), { hint: /^There are prompt, .*onPreview\.$/ });
  assert.match(suggestion("wasmPaths", known, "options"), /configure/);
  assert.equal(suggestion("num_images_per_prompt", known, "options"), undefined, "nothing is suggested that is not there");
});

test("a sampler's or a mode's other name is answered with the one here", () => {
  const meant = { "DPM++ 2M Karras": "dpmpp-2m-karras", "Euler a": "euler-a", EulerDiscreteScheduler: "euler", euler_ancestral: "euler-a", UniPC: "unipc" };
  for (const [name, sampler] of Object.entries(meant)) {
    assert.throws(() => checkKind("sampler", name, samplers), { code: "bad_option", message: /sampler/, hint: `Did you mean "${sampler}"?` });
  }
  assert.throws(() => checkKind("mode", "txt2img", modes), { hint: 'Did you mean "single"?' });
  assert.throws(() => checkKind("mode", "magic", modes), { message: 'mode cannot be "magic"', hint: /"single", "opaque"/ });
});

test("a value of another kind is refused with the option's name", () => {
  const kinds = { steps: "count", seed: "whole", guidance: "number", prompt: "text", fit: "flag", noise: "floats", passes: [1, 8] };
  const refused = { steps: ["20", 0, 1.5, NaN], seed: [-1, 0.5, 2 ** 53, "7"], guidance: ["7", Infinity], prompt: [7, {}], fit: ["yes", 1], noise: [[0]], passes: [3] };
  for (const [name, values] of Object.entries(refused)) {
    for (const value of values) {
      assert.throws(() => checkKinds({ [name]: value }, kinds), ({ code, message }) => code === "bad_option" && message.startsWith(`${name} `));
    }
  }
  checkKinds({ steps: 20, seed: 0, guidance: 7.5, prompt: "", fit: false, noise: new Float32Array(4), passes: 8 }, kinds);
  checkKinds({ steps: undefined, seed: null }, kinds);
});

test("every call refuses a signal that is none, and options that it does not have", async () => {
  const scene = new Scene(8, 8);
  const calls = [
    (options) => createEngine({ model: "mini", ...options }),
    (options) => scene.flatten(options),
    (options) => scene.toOra(options),
    (options) => scene.toPsd(options),
    (options) => models.import("https://models.example/", options),
    (options) => models.import(new Blob(), options),
    (options) => models.verify("apple", options),
    (options) => models.remove("apple", options),
    (options) => models.estimate("https://models.example/", options),
  ];
  for (const call of calls) {
    await assert.rejects(call({ signal: {} }), { code: "bad_option", message: /^signal must be an AbortSignal/ }, String(call));
    await assert.rejects(call({ signal: new AbortController() }), { code: "bad_option", message: /^signal / }, String(call));
    await assert.rejects(call({ sginal: undefined }), { code: "bad_option", message: /"sginal"/, hint: "Did you mean signal?" }, String(call));
  }
  await assert.rejects(createEngine({ model: "mini", onProgress: true }), { code: "bad_option", message: /^onProgress must be a function/ });
  await assert.rejects(createEngine({ model: "mini", device: "gpu" }), { code: "bad_option", hint: 'Did you mean "webgpu"?' });
  await assert.rejects(createEngine({ model: "mini", publicPath: "/x/" }), { code: "bad_option", hint: /configure\(\{ assets \}\)/ });
  await assert.rejects(createEngine({ model: "mini", loras: [{ file: new Blob(), weight: 0.5 }] }), { message: /"weight" for loras\[0\]/, hint: "Did you mean strength?" });
  assert.throws(() => new Scene(8, 8, { backgroud: "#ffffff" }), { code: "bad_option", hint: "Did you mean background?" });
  for (const options of [undefined, null, "mini", 7, {}]) await assert.rejects(createEngine(options), { code: "bad_option" });
});

test("configure takes a place for the package's files, and nothing else", () => {
  for (const options of [{ assets: 7 }, { assets: {} }, { path: "/" }]) assert.throws(() => configure(options), { code: "bad_option" });
  configure({});
});
