// Golden cases, and the tiny model that they are about: see tests/README.md.

import { cpSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { glassine } from "./native.js";
import { readSafetensors, valuesOf, writeSafetensors } from "./safetensors.js";

const root = process.env.GLASSINE_GOLDEN ?? fileURLToPath(new URL("../../golden/", import.meta.url));

/** What a test of a case that the copy leaves out has for `skip`: false where the golden data is whole. */
export const leftOut =
  process.env.GLASSINE_GOLDEN === undefined && "needs the whole of the golden data in GLASSINE_GOLDEN";

/** A case: its description, its files, and the values of its tensors. */
export function loadCase(path) {
  const folder = join(root, path);
  const description = JSON.parse(readFileSync(join(folder, "case.json"), "utf8"));
  const tensors = readSafetensors(join(folder, description.tensor_file ?? `${basename(path)}.safetensors`));
  return {
    description,
    bytes: (file) => readFileSync(join(folder, file)),
    shape: (name) => tensors.get(name).shape,
    values: (name) => valuesOf(tensors.get(name)),
  };
}

/** The path of a transparency file of the tiny model. */
export const companion = (name) => join(root, `layerdiffuse/weights/layer_sd15_${name}.safetensors`);

/** The folder of the tiny model's ControlNet. */
export const controlNet = join(root, "controlnet/model");

/** Packs the tiny model with all transparency files and a ControlNet, and with these options, into `folder`/pack. */
export function packTinyModel(folder, ...options) {
  return packWithoutControlNet(folder, "--controlnet", controlNet, ...options);
}

/** The same with these options alone. */
export const packWithoutControlNet = (folder, ...options) =>
  packParts(folder, { attn: "transparent_attn", joint: "joint", fg2bg: "fg2bg", bg2fg: "bg2fg" }, options);

/** Packs the tiny model for single pictures alone, into `folder`/pack. */
export const packWithoutLayers = (folder, ...options) => packParts(folder, { attn: "transparent_attn" }, options);

function packParts(folder, adapters, options) {
  const pack = join(folder, "pack");
  glassine(
    "pack",
    ...["--model", checkpoint(folder), "--quantize", "f32", "--out", pack],
    ...["--transparency-decoder", companion("vae_transparent_decoder")],
    ...["--transparency-encoder", companion("vae_transparent_encoder")],
    ...Object.entries(adapters).flatMap(([kind, name]) => ["--layers", `${kind}=${companion(name)}`]),
    ...options,
  );
  return pack;
}

/** The tiny model in diffusers' layout, with a whole table of tokens: the copy has those that its cases use. */
export function checkpoint(folder) {
  const original = join(root, "sd-tiny/model");
  if (existsSync(join(original, "text_encoder/model.safetensors"))) return original;
  const copy = join(folder, "sd-tiny");
  cpSync(original, copy, { recursive: true });

  const name = "text_model.embeddings.token_embedding.weight";
  const tensors = readSafetensors(join(original, "text_encoder/model-used-tokens.safetensors"));
  const rows = tensors.get(`${name}.rows`);
  const ids = valuesOf(tensors.get(`${name}.ids`));
  const tokens = 49_408;
  const size = rows.bytes.length / ids.length;
  const bytes = Buffer.alloc(tokens * size);
  ids.forEach((id, row) => rows.bytes.copy(bytes, id * size, row * size, (row + 1) * size));
  tensors.delete(`${name}.rows`);
  tensors.delete(`${name}.ids`);
  tensors.set(name, { dtype: rows.dtype, shape: [tokens, rows.shape[1]], bytes });
  writeFileSync(join(copy, "text_encoder/model.safetensors"), writeSafetensors(tensors));
  return copy;
}

/**
 * The tiny model as an original single file, `folder`/tiny.safetensors: the published one where it lies
 * in the golden data, else put together from the model's folder by the table of names.
 */
export function singleFile(folder) {
  const file = join(folder, "tiny.safetensors");
  const original = join(root, "sd-tiny/single-file.safetensors");
  if (existsSync(original)) {
    cpSync(original, file);
    return file;
  }
  const model = checkpoint(folder);
  const components = Object.fromEntries(
    ["text_encoder/model", "unet/diffusion_pytorch_model", "vae/diffusion_pytorch_model"].map((path) => [
      dirname(path),
      readSafetensors(join(model, `${path}.safetensors`)),
    ]),
  );
  const names = JSON.parse(readFileSync(join(root, "sd-tiny/single-file-names.json"), "utf8"));
  const tensors = Object.entries(names).map(([original, path]) => {
    const [component, ...name] = path.split(".");
    const tensor = components[component].get(name.join("."));
    // The VAE's attention is made of 1 x 1 convolutions there.
    const convolution = original.includes(".attn_1.") && tensor.shape.length === 2;
    return [original, convolution ? { ...tensor, shape: [...tensor.shape, 1, 1] } : tensor];
  });
  writeFileSync(file, writeSafetensors(new Map(tensors)));
  return file;
}
