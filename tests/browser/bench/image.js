// A whole picture: the engine's own `generate`, against the same steps over ONNX Runtime's sessions.

import { textEncoder, timeFeatures, transparencyDecoder, unet, vaeDecoder } from "./networks.js";
import { turned, turnsOf } from "./values.js";

const PROMPT = "a red apple";
const SEED = 7;
const GUIDANCE = 4;
/** Tokens that a text encoder sees. */
const TOKENS = 77;

/** Steps and decode passes by how fast a device is. */
const lengths = { swiftshader: [2, 1], lavapipe: [4, 8], cpu: [20, 8], gpu: [20, 8] };

/** The row: pictures as red, green, blue and alpha of each pixel, from 0 to 1. */
export async function imageRow(setup) {
  const { side } = setup.model;
  const [steps, passes] = lengths[setup.size];
  const request = {
    prompt: PROMPT,
    seed: SEED,
    width: side,
    height: side,
    steps,
    guidance: GUIDANCE,
    sampler: "ddim",
    mode: "single",
    decodePasses: passes,
  };
  const engine = await setup.engine();
  const peer = await peerPipeline(setup, request);
  return {
    shape: `${side} x ${side}, ${steps} steps, ${passes} passes`,
    kind: "picture",
    ours: {
      run: async () => {
        const [{ layers }] = await engine.generate(request, 1, () => true);
        return Float32Array.from(layers[0].rgba, (byte) => byte / 255);
      },
    },
    peer: { run: () => peer() },
  };
}

async function peerPipeline(setup, { prompt, seed, width, height, steps, guidance, decodePasses }) {
  const { config } = setup.model;
  const predictsV = config("scheduler").prediction_type === "v_prediction";
  const cells = [height / 8, width / 8];
  const tensors = {};
  for (const part of ["text_encoder", "unet", "vae", "transparency_decoder"]) {
    tensors[part] = await setup.tensors(`${part}.`);
  }
  const time = (timestep) => timeFeatures(timestep, tensors.unet, 2);
  const maps = (channels, [height, width], batch = 1) => ({ shape: [batch, channels, height, width] });
  const ids = { shape: [2, TOKENS], data: new BigInt64Array(2 * TOKENS) };
  const text = await setup.session(
    { ids },
    (layers, { ids }) => textEncoder(layers, config("text_encoder"), ids),
    tensors.text_encoder,
  );
  const context = { shape: [2, TOKENS, config("unet").cross_attention_dim] };
  const denoiser = await setup.session(
    { latent: maps(4, cells, 2), time: time(0), context },
    (layers, inputs) => unet(layers, config("unet"), inputs),
    tensors.unet,
  );
  const decoder = await setup.session(
    { latent: maps(4, cells) },
    (layers, { latent }) => vaeDecoder(layers, config("vae"), latent),
    tensors.vae,
  );
  const transparency = await setup.session(
    { pixels: maps(3, [height, width]), latent: maps(4, cells) },
    transparencyDecoder,
    tensors.transparency_decoder,
  );
  const tokens = await Promise.all(["", prompt].map((text) => setup.tokens(text, TOKENS)));
  ids.data.set(tokens.flatMap((row) => Array.from(row, BigInt)));
  const start = setup.noise(seed, 4 * cells[0] * cells[1]);

  const values = async (session, feeds) => {
    const made = await session.feeds(feeds);
    const output = await session.read(await session.compute(made));
    session.free(made);
    return output;
  };
  return async () => {
    const features = await text.compute(await text.feeds({ ids }));
    let latent = start;
    for (const { timestep, alpha, next } of ddimSteps(steps, config("scheduler"))) {
      const rows = Float32Array.from([...latent, ...latent]);
      const feeds = await denoiser.feeds({ latent: { ...maps(4, cells, 2), data: rows }, time: time(timestep) });
      const output = await denoiser.compute({ ...feeds, context: features });
      const predicted = await denoiser.read(output);
      denoiser.free(feeds);
      latent = latent.map((value, index) => {
        const [without, given] = [predicted[index], predicted[index + latent.length]];
        const guided = without + guidance * (given - without);
        const epsilon = predictsV ? Math.sqrt(alpha) * guided + Math.sqrt(1 - alpha) * value : guided;
        const denoised = (value - Math.sqrt(1 - alpha) * epsilon) / Math.sqrt(alpha);
        return Math.sqrt(next) * denoised + Math.sqrt(1 - next) * epsilon;
      });
    }
    features.dispose();
    const unscaled = { ...maps(4, cells), data: latent.map((value) => value / config("vae").scaling_factor) };
    const decoded = await values(decoder, { latent: unscaled });
    const pixels = { ...maps(3, [height, width]), data: decoded.map((value) => clamped(value / 2 + 0.5)) };
    const passes = [];
    for (const turn of turnsOf(decodePasses)) {
      const output = await values(transparency, { pixels: turned(pixels, turn), latent: turned(unscaled, turn) });
      const upright = turned({ ...maps(4, [height, width]), data: output }, turn, true);
      passes.push(upright.data.map(clamped));
    }
    const [alpha, ...colors] = planes(lowerMedian(passes), width * height);
    const rgba = [...colors, alpha];
    return Float32Array.from({ length: 4 * width * height }, (_, index) => rgba[index % 4][index >> 2]);
  };
}

const clamped = (value) => Math.min(1, Math.max(0, value));

function planes(values, length) {
  return [0, 1, 2, 3].map((plane) => values.subarray(plane * length, (plane + 1) * length));
}

function lowerMedian(passes) {
  const middle = (passes.length - 1) >> 1;
  return passes[0].map((_, index) => Float32Array.from(passes, (pass) => pass[index]).sort()[middle]);
}

/** Timesteps, how much of the picture is in the latent before and after each step (DDIM, diffusers). */
function ddimSteps(steps, { num_train_timesteps: count, beta_start: low, beta_end: high, steps_offset: offset }) {
  const alphas = [];
  for (let index = 0; index < count; index++) {
    const root = Math.sqrt(low) + ((Math.sqrt(high) - Math.sqrt(low)) * index) / (count - 1);
    alphas.push((alphas.at(-1) ?? 1) * (1 - root ** 2));
  }
  const stride = Math.floor(count / steps);
  return Array.from({ length: steps }, (_, step) => {
    const timestep = (steps - 1 - step) * stride + offset;
    return { timestep, alpha: alphas[timestep], next: alphas[Math.max(timestep - stride, 0)] };
  });
}
