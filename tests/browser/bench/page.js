// What the benchmark does in a page: sets a row up on both sides and times it.

import init, * as module from "/module/bench.js";
import { Layers } from "./layers.js";
import { Graph } from "./onnx.js";
import { openPeer } from "./peer.js";
import { rowsByName } from "./rows.js";
import { difference, rootMeanSquare } from "./values.js";

/** A run that takes less is done several times in a row, so that waiting for the device weighs little. */
const SHORTEST_MS = 20;
const MOST_TIMES = 50;
const MOST_RUNS = 9;
/** There are two runs at least, unless the first took so many times as long as all should. */
const FEW_RUNS = 2;
const MUCH_TOO_LONG = 6;

/** How unlike the outputs of layers, networks and whole pictures may be that agree, by the peer's type. */
const tolerances = {
  f32: { layer: 1e-4, network: 1e-3, picture: 0.01 },
  f16: { layer: 0.05, network: 0.1, picture: 0.05 },
};

/** What both sides of a row are made with. */
class Setup {
  constructor({ device, size, dtype, peerDtype, fused, side }, peer, manifest) {
    Object.assign(this, { device, size, dtype, peerDtype, fused, peer });
    this.model = { side, config: (component) => manifest.components[component] };
  }

  async read(file) {
    const response = await fetch(`/pack/${file}`);
    if (!response.ok) throw new Error(`the pack has no ${file}`);
    return new Uint8Array(await response.arrayBuffer());
  }

  /** The weight as rounded by being stored in the row's type. */
  stored(weight) {
    return { shape: weight.shape, data: module.stored_values(weight, this.dtype) };
  }

  /** The pack's tensors whose names begin with `part`. */
  async tensors(part) {
    const tensors = new Map();
    await module.pack_tensors(this.read, part, (name, shape, data) => tensors.set(name, { shape, data }));
    return tensors;
  }

  /** What puts the engine's layers and networks on the device. */
  open() {
    return openGpu(() => module.BenchDevice.open(this.device));
  }

  /** The engine itself, with the pack. */
  engine() {
    return openGpu(() => module.WasmEngine.load(this.read, this.device, [], undefined, () => true));
  }

  tokens(text, length) {
    return module.prompt_tokens(this.read, text, length);
  }

  noise(seed, length) {
    return module.seeded_noise(seed, length);
  }

  /** ONNX Runtime's session of what `build` makes of `Layers` of the `tensors` and the inputs by name. */
  session(inputs, build, tensors) {
    const graph = new Graph(this.peerDtype);
    const entries = Object.entries(inputs).map(([name, { shape, data }]) => {
      return [name, graph.input(name, shape, data instanceof BigInt64Array ? "int64" : undefined)];
    });
    const named = tensors instanceof Map ? tensors : new Map(Object.entries(tensors));
    const output = build(new Layers(graph, named, this.fused), Object.fromEntries(entries));
    return this.peer.session(graph, output);
  }

  async peerOn(inputs, build, tensors) {
    const session = await this.session(inputs, build, tensors);
    return session.on(inputs);
  }
}

async function setUp(options) {
  await init({ module_or_path: "/module/bench_bg.wasm" });
  const manifest = await fetch("/pack/manifest.json").then((response) => response.json());
  return new Setup(options, await openPeer(options.device), manifest);
}

/**
 * Has the engine open its device. Its library gives up on a GPU that cannot measure time, so that
 * meanwhile, as in the package's worker, adapters say that they can, and emulated ones that they do not compute in half
 * precision.
 */
async function openGpu(open) {
  if (!self.GPUAdapter) return open();
  const { requestDevice } = GPUAdapter.prototype;
  const features = Object.getOwnPropertyDescriptor(GPUAdapter.prototype, "features");
  GPUAdapter.prototype.requestDevice = function (descriptor) {
    const has = (feature) => features.get.call(this).has(feature);
    return requestDevice.call(this, { ...descriptor, requiredFeatures: [...descriptor.requiredFeatures].filter(has) });
  };
  Object.defineProperty(GPUAdapter.prototype, "features", {
    ...features,
    get() {
      const offered = new Set([...features.get.call(this), "timestamp-query"]);
      if (this.info.isFallbackAdapter) offered.delete("shader-f16");
      return offered;
    },
  });
  try {
    return await open();
  } finally {
    GPUAdapter.prototype.requestDevice = requestDevice;
    Object.defineProperty(GPUAdapter.prototype, "features", features);
  }
}

/** What the page's adapter is, and whether ONNX Runtime's attention is right on it. */
export async function describe(options) {
  const adapter = options.device === "webgpu" ? await navigator.gpu?.requestAdapter() : undefined;
  const { vendor, architecture, description } = adapter?.info ?? {};
  const setup = await setUp({ ...options, size: "swiftshader", dtype: "f32", peerDtype: "f32", fused: true });
  const row = await rowsByName.get("attention-1024")(setup);
  const fused = difference(await row.ours.run(1), await row.peer.run(1)) < tolerances.f32.layer;
  return {
    adapter: adapter && { vendor, architecture, description },
    halves: adapter?.features.has("shader-f16") ?? false,
    fused,
    peer: `onnxruntime-web ${setup.peer.version}`,
  };
}

/** One row, of `options.row`, for about `options.seconds`. */
export async function measure(options) {
  const setup = await setUp(options);
  const { shape, ours, peer, kind = "layer" } = await rowsByName.get(options.row)(setup);
  const cold = { ours: await timed(ours, 1), peer: await timed(peer, 1) };
  const compare = kind === "picture" ? rootMeanSquare : difference;
  const error = compare(cold.ours.output, cold.peer.output);
  const sides = { ours, peer };
  const runs = [];
  let times = 1;
  const begin = performance.now();
  const share = () => (performance.now() - begin) / (options.seconds * 1000);
  while (share() < 1 ? runs.length < MOST_RUNS : runs.length < (share() < MUCH_TOO_LONG ? FEW_RUNS : 1)) {
    const run = {};
    // Each goes first every other time.
    for (const side of runs.length % 2 ? ["peer", "ours"] : ["ours", "peer"]) {
      run[side] = (await timed(sides[side], times)).milliseconds;
    }
    const more = Math.min(MOST_TIMES, Math.ceil(SHORTEST_MS / Math.min(run.ours, run.peer)));
    // The first run says how often to repeat.
    if (times === 1 && more > 1) times = more;
    else runs.push(run);
  }
  const checked = error < tolerances[options.peerDtype][kind];
  return { shape, error, checked, runs, cold: { ours: cold.ours.milliseconds, peer: cold.peer.milliseconds } };
}

async function timed(side, times) {
  const start = performance.now();
  const output = await side.run(times);
  return { milliseconds: (performance.now() - start) / times, output };
}
