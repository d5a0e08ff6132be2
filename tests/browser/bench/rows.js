// What is timed. Each row makes the same work twice, as `{ours, peer}`: objects whose `run(times)` does
// it that often and gives the output. The sizes are Stable Diffusion 1.5's, of which devices that are
// slow get fewer cells or queries: their number is a row's `cells`.

import { imageRow } from "./image.js";
import { timeFeatures, transparencyDecoder, unet, vaeDecoder } from "./networks.js";
import { random, turned, turnsOf } from "./values.js";

/** How large the work is on a device: the side of the maps at the finest level. */
const sides = { swiftshader: 16, lavapipe: 32, cpu: 64, gpu: 64 };

/** Level of Stable Diffusion's UNet by its channels. */
const levels = { 320: 0, 640: 1, 1280: 2 };

const rows = [];
for (const channels of [320, 640, 1280]) {
  rows.push(
    [`matmul-${channels}`, (setup) => linear(setup, channels)],
    [`conv3x3-${channels}`, (setup) => convolution(setup, channels, 3)],
    [`conv1x1-${channels}`, (setup) => convolution(setup, channels, 1)],
    [`groupnorm-${channels}`, (setup) => groupNorm(setup, channels)],
  );
}
for (const tokens of [4096, 1024, 256, 64]) rows.push([`attention-${tokens}`, (setup) => attention(setup, tokens)]);
rows.push(
  ["unet", (setup) => unetRow(setup)],
  ["vae-decode", (setup) => vaeRow(setup)],
  ["transparency-1", (setup) => transparencyRow(setup, 1)],
  ["transparency-8", (setup) => transparencyRow(setup, 8)],
  ["image", (setup) => imageRow(setup)],
);

/** The rows by name: functions of a `Setup`. */
export const rowsByName = new Map(rows);

function batchOf({ size }) {
  return size === "gpu" ? 2 : 1;
}

/** The side of a map of so many channels. */
function sideOf({ size }, channels) {
  return sides[size] >> levels[channels];
}

/** The feed-forward's first layer, or on SwiftShader a projection of an attention, which is an eighth of it. */
async function linear(setup, inputs) {
  const outputs = setup.size === "swiftshader" ? inputs : inputs * 8;
  const tokens = sideOf(setup, inputs) ** 2;
  const x = random([batchOf(setup), tokens, inputs]);
  const weight = random([outputs, inputs], inputs ** -0.5);
  const bias = random([outputs]);
  return {
    shape: `${x.shape.join(" x ")} by ${inputs} x ${outputs}`,
    ours: (await setup.open()).linear(x, weight, bias, setup.dtype),
    peer: await setup.peerOn({ x }, (layers, { x }) => layers.linear(x), {
      weight: setup.stored(weight),
      bias,
    }),
  };
}

async function convolution(setup, channels, kernel) {
  const side = sideOf(setup, channels);
  const x = random([batchOf(setup), channels, side, side]);
  const weight = random([channels, channels, kernel, kernel], (channels * kernel * kernel) ** -0.5);
  const bias = random([channels]);
  return {
    shape: `${x.shape.join(" x ")}, ${channels} out`,
    ours: (await setup.open()).conv2d(x, weight, bias, setup.dtype),
    peer: await setup.peerOn({ x }, (layers, { x }) => layers.conv(x), { weight: setup.stored(weight), bias }),
  };
}

async function groupNorm(setup, channels) {
  const side = sideOf(setup, channels);
  const x = random([batchOf(setup), channels, side, side]);
  const [weight, bias] = [random([channels]), random([channels])];
  const silu = (layers, { x }) => layers.silu(layers.groupNorm(x, 32, 1e-5));
  return {
    shape: x.shape.join(" x "),
    ours: (await setup.open()).group_norm_silu(x, weight, bias, 32),
    peer: await setup.peerOn({ x }, silu, { weight, bias }),
  };
}

/** Attention of as many tokens as Stable Diffusion has at 512 x 512, all of them keys. */
async function attention(setup, tokens) {
  const width = { 4096: 40, 1024: 80 }[tokens] ?? 160;
  const slow = { swiftshader: { 4096: [256, 1], 1024: [256, 1], 256: [256, 1] }, lavapipe: { 4096: [4096, 1] } }[setup.size];
  const [queries, heads] = slow?.[tokens] ?? [tokens, 8];
  const query = random([batchOf(setup), queries, width * heads], 2);
  const [key, value] = [0, 1].map(() => random([batchOf(setup), tokens, width * heads], 2));
  const attend = (layers, { query, key, value }) => layers.attention(query, key, value, heads);
  return {
    shape: `${queries} queries, ${tokens} keys, ${heads} x ${width}`,
    ours: (await setup.open()).attention(query, key, value, heads),
    peer: await setup.peerOn({ query, key, value }, attend, {}),
  };
}

async function unetRow(setup) {
  const { config, side } = setup.model;
  const latent = random([2, 4, side / 8, side / 8]);
  const context = random([2, 77, config("unet").cross_attention_dim]);
  const timestep = 601;
  const tensors = await setup.tensors("unet.");
  const time = timeFeatures(timestep, tensors, latent.shape[0]);
  const build = (layers, inputs) => unet(layers, config("unet"), inputs);
  return {
    shape: latent.shape.join(" x "),
    kind: "network",
    ours: await (await setup.open()).unet(setup.read, latent, timestep, context),
    peer: await setup.peerOn({ latent, time, context }, build, tensors),
  };
}

async function vaeRow(setup) {
  const { config, side } = setup.model;
  const latent = random([1, 4, side / 8, side / 8], 4);
  const build = (layers, inputs) => vaeDecoder(layers, config("vae"), inputs.latent);
  return {
    shape: latent.shape.join(" x "),
    kind: "network",
    ours: await (await setup.open()).vae_decoder(setup.read, latent),
    peer: await setup.peerOn({ latent }, build, await setup.tensors("vae.")),
  };
}

async function transparencyRow(setup, passes) {
  const { side } = setup.model;
  const pixels = random([1, 3, side, side], 0.5, 0.5);
  const latent = random([1, 4, side / 8, side / 8], 4);
  const tensors = await setup.tensors("transparency_decoder.");
  const session = await setup.session({ pixels, latent }, transparencyDecoder, tensors);
  const turns = turnsOf(passes).map((turn) => ({ pixels: turned(pixels, turn), latent: turned(latent, turn) }));
  return {
    shape: pixels.shape.join(" x "),
    kind: "network",
    ours: await (await setup.open()).transparency_decoder(setup.read, pixels, latent, passes),
    peer: await session.on(...turns),
  };
}
