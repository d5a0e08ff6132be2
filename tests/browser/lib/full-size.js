// A model with the shapes of Stable Diffusion 1.5 and LayerDiffuse's transparency decoder, whose weights are all zero:
// for what can be told without computing. Its files are sparse.

import { closeSync, ftruncateSync, mkdirSync, openSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { glassine } from "./native.js";

/** Packs the model at 4 bits into `folder`/pack. */
export function packFullSize(folder) {
  const [model, decoder, pack] = ["model", "decoder.safetensors", "pack"].map((name) => join(folder, name));
  writeModel(model);
  writeZeros(decoder, transparencyDecoder());
  glassine("pack", "--model", model, "--transparency-decoder", decoder, "--native-transparency", "--quantize", "q4", "--out", pack);
  return pack;
}

function writeModel(folder) {
  const parts = {
    scheduler: [schedulerConfig],
    text_encoder: [textConfig, "model", textEncoder()],
    unet: [unetConfig, "diffusion_pytorch_model", unet()],
    vae: [vaeConfig, "diffusion_pytorch_model", vae()],
  };
  for (const [part, [config, name, shapes]] of Object.entries(parts)) {
    mkdirSync(join(folder, part), { recursive: true });
    writeFileSync(join(folder, part, part === "scheduler" ? "scheduler_config.json" : "config.json"), JSON.stringify(config));
    if (shapes) writeZeros(join(folder, part, `${name}.safetensors`), shapes);
  }
}

/** A file of half floats, all zero. `shapes` are by name. */
function writeZeros(path, shapes) {
  let end = 0;
  const entries = Object.entries(shapes).map(([name, shape]) => {
    const start = end;
    end += 2 * shape.reduce((count, side) => count * side, 1);
    return [name, { dtype: "F16", shape, data_offsets: [start, end] }];
  });
  const header = Buffer.from(JSON.stringify(Object.fromEntries(entries)));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  const file = openSync(path, "w");
  writeSync(file, Buffer.concat([length, header]));
  ftruncateSync(file, 8 + header.length + end);
  closeSync(file);
}

// The shapes, by diffusers' names.

const linear = (name, out, inputs) => ({ [`${name}.weight`]: [out, inputs], [`${name}.bias`]: [out] });
const conv = (name, out, inputs, side = 3) => ({ [`${name}.weight`]: [out, inputs, side, side], [`${name}.bias`]: [out] });
const norm = (name, channels) => ({ [`${name}.weight`]: [channels], [`${name}.bias`]: [channels] });

function resnet(name, inputs, out, time) {
  return {
    ...norm(`${name}.norm1`, inputs),
    ...conv(`${name}.conv1`, out, inputs),
    ...(time && linear(`${name}.time_emb_proj`, out, time)),
    ...norm(`${name}.norm2`, out),
    ...conv(`${name}.conv2`, out, out),
    ...(inputs !== out && conv(`${name}.conv_shortcut`, out, inputs, 1)),
  };
}

/** Self-attention of the VAE's kind. */
function attention(name, channels) {
  const projections = ["to_q", "to_k", "to_v", "to_out.0"].map((part) => linear(`${name}.${part}`, channels, channels));
  return Object.assign({}, norm(`${name}.group_norm`, channels), ...projections);
}

function transformer(name, channels, context) {
  const block = `${name}.transformer_blocks.0`;
  const attend = (name, inputs) => ({
    [`${name}.to_q.weight`]: [channels, channels],
    [`${name}.to_k.weight`]: [channels, inputs],
    [`${name}.to_v.weight`]: [channels, inputs],
    ...linear(`${name}.to_out.0`, channels, channels),
  });
  return {
    ...norm(`${name}.norm`, channels),
    ...conv(`${name}.proj_in`, channels, channels, 1),
    ...norm(`${block}.norm1`, channels),
    ...attend(`${block}.attn1`, channels),
    ...norm(`${block}.norm2`, channels),
    ...attend(`${block}.attn2`, context),
    ...norm(`${block}.norm3`, channels),
    ...linear(`${block}.ff.net.0.proj`, 8 * channels, channels),
    ...linear(`${block}.ff.net.2`, channels, 4 * channels),
    ...conv(`${name}.proj_out`, channels, channels, 1),
  };
}

/**
 * The blocks of a UNet, down, in the middle and up. `attend(name, channels)` gives the attention after a residual block;
 * it is there in the blocks for which `attends(index)` of the way down holds, and in their mirror images.
 */
function blocks({ channels, time, attend, attends }) {
  const shapes = {};
  const last = channels.length - 1;
  const skips = [channels[0]];
  let width = channels[0];
  for (const [index, out] of channels.entries()) {
    for (const layer of [0, 1]) {
      Object.assign(shapes, resnet(`down_blocks.${index}.resnets.${layer}`, width, out, time));
      if (attends(index)) Object.assign(shapes, attend(`down_blocks.${index}.attentions.${layer}`, out));
      skips.push((width = out));
    }
    if (index === last) break;
    Object.assign(shapes, conv(`down_blocks.${index}.downsamplers.0.conv`, out, out));
    skips.push(out);
  }
  Object.assign(shapes, resnet("mid_block.resnets.0", width, width, time), attend("mid_block.attentions.0", width));
  Object.assign(shapes, resnet("mid_block.resnets.1", width, width, time));
  for (const [index, out] of channels.toReversed().entries()) {
    for (const layer of [0, 1, 2]) {
      Object.assign(shapes, resnet(`up_blocks.${index}.resnets.${layer}`, width + skips.pop(), out, time));
      if (attends(last - index)) Object.assign(shapes, attend(`up_blocks.${index}.attentions.${layer}`, out));
      width = out;
    }
    if (index < last) Object.assign(shapes, conv(`up_blocks.${index}.upsamplers.0.conv`, out, out));
  }
  return { ...shapes, ...norm("conv_norm_out", width) };
}

function unet() {
  const [channels, time] = [unetConfig.block_out_channels, 1280];
  const attend = (name, width) => transformer(name, width, unetConfig.cross_attention_dim);
  return {
    ...conv("conv_in", 320, 4),
    ...linear("time_embedding.linear_1", time, 320),
    ...linear("time_embedding.linear_2", time, time),
    ...blocks({ channels, time, attend, attends: (index) => index < 3 }),
    ...conv("conv_out", 4, 320),
  };
}

function transparencyDecoder() {
  const channels = [32, 32, 64, 128, 256, 512, 512];
  return {
    ...conv("conv_in", 32, 3),
    ...conv("latent_conv_in", 64, 4, 1),
    ...blocks({ channels, attend: attention, attends: (index) => index >= 4 }),
    ...conv("conv_out", 4, 32),
  };
}

function vae() {
  const channels = vaeConfig.block_out_channels;
  const last = channels.length - 1;
  const shapes = {};
  const add = (...parts) => Object.assign(shapes, ...parts);
  const middle = (name) => {
    add(resnet(`${name}.mid_block.resnets.0`, 512, 512), attention(`${name}.mid_block.attentions.0`, 512));
    add(resnet(`${name}.mid_block.resnets.1`, 512, 512));
  };
  add(conv("encoder.conv_in", 128, 3), conv("decoder.conv_in", 512, 4));
  middle("encoder");
  middle("decoder");
  let [down, up] = [channels[0], channels[last]];
  for (const index of channels.keys()) {
    const [inner, outer] = [channels[index], channels[last - index]];
    for (const layer of [0, 1]) {
      add(resnet(`encoder.down_blocks.${index}.resnets.${layer}`, down, inner));
      down = inner;
    }
    for (const layer of [0, 1, 2]) {
      add(resnet(`decoder.up_blocks.${index}.resnets.${layer}`, up, outer));
      up = outer;
    }
    if (index === last) break;
    add(conv(`encoder.down_blocks.${index}.downsamplers.0.conv`, inner, inner));
    add(conv(`decoder.up_blocks.${index}.upsamplers.0.conv`, outer, outer));
  }
  add(norm("encoder.conv_norm_out", 512), conv("encoder.conv_out", 8, 512));
  add(norm("decoder.conv_norm_out", 128), conv("decoder.conv_out", 3, 128));
  add(conv("quant_conv", 8, 8, 1), conv("post_quant_conv", 4, 4, 1));
  return shapes;
}

function textEncoder() {
  const width = textConfig.hidden_size;
  const layers = Array.from({ length: textConfig.num_hidden_layers }, (_, index) => {
    const name = `text_model.encoder.layers.${index}`;
    const projections = ["q_proj", "k_proj", "v_proj", "out_proj"].map((part) => linear(`${name}.self_attn.${part}`, width, width));
    return Object.assign(
      {},
      ...projections,
      norm(`${name}.layer_norm1`, width),
      norm(`${name}.layer_norm2`, width),
      linear(`${name}.mlp.fc1`, 4 * width, width),
      linear(`${name}.mlp.fc2`, width, 4 * width),
    );
  });
  return Object.assign(
    {
      "text_model.embeddings.token_embedding.weight": [textConfig.vocab_size, width],
      "text_model.embeddings.position_embedding.weight": [textConfig.max_position_embeddings, width],
    },
    ...layers,
    norm("text_model.final_layer_norm", width),
  );
}

// What the published configurations say.

const schedulerConfig = {
  _class_name: "PNDMScheduler",
  beta_end: 0.012,
  beta_schedule: "scaled_linear",
  beta_start: 0.00085,
  num_train_timesteps: 1000,
  steps_offset: 1,
};

const textConfig = {
  model_type: "clip_text_model",
  hidden_act: "quick_gelu",
  hidden_size: 768,
  intermediate_size: 3072,
  layer_norm_eps: 1e-5,
  max_position_embeddings: 77,
  num_attention_heads: 12,
  num_hidden_layers: 12,
  vocab_size: 49408,
};

const unetConfig = {
  _class_name: "UNet2DConditionModel",
  attention_head_dim: 8,
  block_out_channels: [320, 640, 1280, 1280],
  cross_attention_dim: 768,
  down_block_types: ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
  in_channels: 4,
  layers_per_block: 2,
  norm_eps: 1e-5,
  norm_num_groups: 32,
  out_channels: 4,
  sample_size: 64,
  up_block_types: ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
};

const vaeConfig = {
  _class_name: "AutoencoderKL",
  block_out_channels: [128, 256, 512, 512],
  down_block_types: Array(4).fill("DownEncoderBlock2D"),
  in_channels: 3,
  latent_channels: 4,
  layers_per_block: 2,
  norm_num_groups: 32,
  out_channels: 3,
  sample_size: 512,
  up_block_types: Array(4).fill("UpDecoderBlock2D"),
};
