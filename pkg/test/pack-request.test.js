import assert from "node:assert/strict";
import { File } from "node:buffer";
import { test } from "node:test";
import { toPackRequest } from "../dist/internal/page/pack-request.js";

globalThis.File ??= File;

/** A file as a folder's chooser gives it. */
function inFolder(path) {
  const file = new File(["x"], path.split("/").at(-1));
  Object.defineProperty(file, "webkitRelativePath", { value: path });
  return file;
}

test("a single file is named after itself", () => {
  const { name, options, files } = toPackRequest(new File(["x"], "Dream Shaper.safetensors"), {});
  assert.equal(name, "Dream-Shaper");
  assert.deepEqual(options, { model: "model/Dream Shaper.safetensors", quantize: "q4", nativeTransparency: false, controlnet: undefined, layers: {}, loras: [] });
  assert.deepEqual(files.map(({ path }) => path), ["model/Dream Shaper.safetensors"]);
});

test("a diffusers folder is found by its UNet, however deep it lies", () => {
  const files = ["a/sd/unet/config.json", "a/sd/vae/config.json"].map(inFolder);
  const { name, options } = toPackRequest(files, {});
  assert.deepEqual([name, options.model], ["sd", "model/a/sd"]);
});

test("companions lie in folders of their options", () => {
  const file = (name) => new File(["x"], name);
  const { options } = toPackRequest(file("m.safetensors"), {
    transparencyDecoder: file("d.safetensors"),
    layers: { joint: file("j.safetensors"), attn: undefined },
    loras: [{ file: file("l.safetensors"), strength: 0.5 }, { file: file("l.safetensors") }],
  });
  assert.equal(options.transparencyDecoder, "transparencyDecoder/d.safetensors");
  assert.deepEqual(options.layers, { joint: "layers.joint/j.safetensors" });
  assert.deepEqual(options.loras, [["loras[0]/l.safetensors", 0.5], ["loras[1]/l.safetensors", 1]]);
});

test("parts of a checkpoint are files, their folders or other checkpoints", () => {
  const model = new File(["x"], "unet.safetensors");
  const options = (given) => toPackRequest(model, given).options;
  const one = options({ vae: new File(["x"], "v.safetensors"), textEncoder: ["sd/text_encoder/config.json"].map(inFolder) });
  assert.deepEqual([one.vae, one.textEncoder], ["vae/v.safetensors", "textEncoder/sd"]);
  const folders = options({ vae: ["ft-mse/config.json", "ft-mse/diffusion_pytorch_model.safetensors"].map(inFolder) });
  assert.equal(folders.vae, "vae/ft-mse");
  const whole = options({ vae: ["sd/unet/config.json", "sd/vae/config.json"].map(inFolder) });
  assert.equal(whole.vae, "vae/sd");
  const control = options({ controlnet: new File(["x"], "canny.safetensors") });
  assert.equal(control.controlnet, "controlnet/canny.safetensors");
});

test("defaults are what the packer calls them", () => {
  const defaults = { steps: 4, guidance: 1, sampler: "lcm", clipSkip: 2 };
  const { options } = toPackRequest(new File(["x"], "m.safetensors"), { defaults });
  const { defaultSteps, defaultGuidance, defaultSampler, defaultClipSkip } = options;
  assert.deepEqual([defaultSteps, defaultGuidance, defaultSampler, defaultClipSkip], [4, 1, "lcm", 2]);
});

test("what cannot be meant is refused by name", () => {
  const file = new File(["x"], "m.safetensors");
  const refused = [
    [{ quantise: "q4" }, /quantise/],
    [{ quantize: "f32" }, /quantize/],
    [{ layers: { sides: file } }, /sides/],
    [{ loras: [{ file: "l" }] }, /loras/],
    [{ controlnet: [] }, /controlnet/],
    [{ defaults: { step: 4 } }, /step/],
    [{ defaults: { steps: 0.5 } }, /steps/],
    [{ defaults: { guidance: NaN } }, /guidance/],
    [{ defaults: { clipSkip: 0 } }, /clipSkip/],
    [{ defaults: { sampler: "warp" } }, /warp/],
  ];
  for (const [options, message] of refused) {
    assert.throws(() => toPackRequest(file, options), { code: "bad_option", message }, message.source);
  }
  assert.throws(() => toPackRequest([], {}), { code: "bad_option" });
});
