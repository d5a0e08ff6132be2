// What a worker that holds an engine does: it runs one call at a time and posts what
// happens to the page.

import { GlassineError } from "../../public/errors.js";
import { WasmEngine } from "../../wasm/glassine.js";
import { destroyUnreferencedBuffers, patchWebGpu } from "./webgpu-patches.js";
import { findAdapter, recommend } from "../shared/gpu.js";
import type { Calls, EngineCall, EngineEvent, FromWorker, RawControlNet, RawError, RawGenerated, StorageTask, ToWorker } from "../shared/protocol.js";
import { abortError } from "../shared/abort-error.js";
import { setAssets } from "./assets.js";
import { PageReads } from "./page-reads.js";
import { toRawError } from "./raw-error.js";
import { readNamedSlice } from "./read-slice.js";
import { openSource, retrying, type PackSource } from "./sources.js";
import { startModule } from "./start-module.js";
import { listenForTraps } from "./traps.js";
import { yieldToEventLoop } from "./yield-to-event-loop.js";

/** The engine's exports, once it is started. */
let module: { __wbindgen_externrefs: WebAssembly.Table } | undefined;
let engine: WasmEngine | undefined;
let controller = new AbortController();
const pageReads = new PageReads(post);

function post(message: FromWorker, transfer: Transferable[] = []): void {
  self.postMessage(message, { transfer });
}

/** The loaded model's files. */
let source: PackSource | undefined;

/** Reads a file for the engine. Its failure is that of the call. */
async function read(path: string, again = false): Promise<Uint8Array> {
  const { signal } = controller;
  try {
    if (!source) throw new Error("no model is loaded");
    return await source.read(path, { signal, again });
  } catch (error) {
    throw signal.aborted ? abortError(signal.reason) : error;
  }
}

/** The latest event of this call. */
let said: string | undefined;

/**
 * Tells the page how far the call is, then lets a request to abort get in
 * between two pieces of computation.
 */
async function report(event: EngineEvent): Promise<boolean> {
  const preview = event.phase === "denoising" ? event.preview : undefined;
  // The engine also reports where it only asks whether to go on: what has been said is not said again.
  const saying = JSON.stringify(event, (name, value: unknown) => (name === "preview" ? true : value));
  if (saying !== said) post({ type: "progress", event }, preview ? [preview.rgba.buffer] : []);
  said = saying;
  // Between its stages the engine lets go of memory. It reports only when all its work is done.
  if (module) destroyUnreferencedBuffers(module.__wbindgen_externrefs);
  await yieldToEventLoop();
  return !controller.signal.aborted;
}

/** The GPU's loss, once there is a GPU device: resolves with the browser's message. */
let lost: Promise<string> | undefined;

/** Has a GPU device that the engine makes tell when it is lost or full. */
function watch(device: GPUDevice): void {
  lost = device.lost.then((info) => info.message);
  void lost.then((message) => post({ type: "dead", error: deviceLost(message) }));
  // The engine's library hears of nothing that the browser refuses, such as a shader: results would
  // stay what the memory held before.
  device.addEventListener("uncapturederror", ({ error: { message }, error }) => {
    post({ type: "dead", error: error instanceof GPUOutOfMemoryError ? outOfMemory(message) : refused(message) });
  });
}

function deviceLost(message: string): RawError {
  return {
    code: "device_lost",
    message: `the GPU was lost${message ? `: ${message}` : ""}`,
    hint: "Call again: the engine is rebuilt. If it happens again, choose a smaller size or the CPU.",
    recoverable: true,
  };
}

function refused(message: string): RawError {
  return {
    code: "internal",
    message: `the GPU's driver refused the engine's work: ${message}`,
    hint: 'Use device: "cpu", and report this with the GPU\'s name.',
    recoverable: true,
  };
}

function outOfMemory(message: string): RawError {
  return {
    code: "out_of_memory",
    message: `the GPU is out of memory: ${message}`,
    hint: "Choose a smaller size or a smaller model, or close other pages that use the GPU.",
    recoverable: true,
  };
}

/** How storing a model before it is loaded is stopped, and who hears of it. */
const task = (): StorageTask => ({ signal: controller.signal, report: (event) => post({ type: "progress", event }) });

/** The memory that the engine uses by default, in bytes: no page is told how much there is. */
const memoryLimits = { webgpu: 2e9, cpu: 3e9 };

async function load({ model, device: choice, loras, memoryLimit }: Calls["load"]["request"]): Promise<Calls["load"]["answer"]> {
  const adapter = choice === "cpu" ? null : await findAdapter();
  if (choice === "webgpu" && !adapter) {
    throw new GlassineError("device_unavailable", "this browser gives no WebGPU adapter", {
      hint: 'Use device "auto" or "cpu", or a browser and graphics driver with WebGPU.',
    });
  }
  const device = choice === "auto" ? recommend(adapter) : choice;
  if (device === "webgpu") patchWebGpu(watch);

  source = model.kind === "page" ? retrying((path, options) => pageReads.read(path, options)) : await openSource(model, task());
  module = await startModule();
  engine = await WasmEngine.load(read, device, loras, memoryLimit ?? memoryLimits[device], report);
  return engine.info();
}

async function run(call: EngineCall): Promise<void> {
  controller = new AbortController();
  said = undefined;
  if (call.type === "load") return post({ type: "done", answer: await load(call) });
  if (!engine) throw new Error("no model is loaded");
  if (call.type === "generate") {
    const answer = await generate(engine, call);
    const buffers = answer.flatMap(({ layers, latent }) => [...layers.map(({ rgba }) => rgba.buffer), latent.data.buffer as ArrayBuffer]);
    return post({ type: "done", answer }, buffers);
  }
  if (call.type === "encode") {
    return post({ type: "done", answer: await engine.encode(call.picture, report) });
  }
  const answer = await engine.decode(call.latent, call.vae, call.passes, report);
  post({ type: "done", answer }, answer.map((layer) => layer.rgba.buffer));
}

/** Makes a request's pictures. A ControlNet's file that cannot be read is told as that, whatever the engine makes of it. */
async function generate(engine: WasmEngine, { options, count }: Calls["generate"]["request"]): Promise<RawGenerated[]> {
  let unread: unknown;
  const read = ({ name, file }: RawControlNet, start: number, end: number): Uint8Array => {
    try {
      return readNamedSlice(name, file, start, end);
    } catch (error) {
      unread = error;
      throw error;
    }
  };
  const controls = options.controls?.map(({ controlnet, ...control }) => ({
    ...control,
    controlnet: controlnet && {
      ...controlnet,
      length: controlnet.file.size,
      read: (_: number, start: number, end: number) => read(controlnet, start, end),
    },
  }));
  try {
    return await engine.generate({ ...options, controls }, count, report);
  } catch (error) {
    throw unread ?? error;
  }
}

/**
 * Reports a failed call. A GPU that is lost makes the engine fail in many ways,
 * sometimes before the loss itself is known: faults wait for it a moment.
 */
async function fail(error: unknown): Promise<void> {
  const given = toRawError(error);
  const raw = given.code === "device_lost" ? deviceLost(given.message) : given;
  if (raw.code !== "internal" && raw.code !== "device_lost") {
    return post({ type: source?.outdated ? "dead" : "failed", error: raw });
  }
  if (lost) await Promise.race([lost, new Promise((resolve) => setTimeout(resolve, 1000))]);
  post({ type: "dead", error: raw });
}

/** Listens to the page. */
export function serveEngine(): void {
  self.addEventListener("message", ({ data }: MessageEvent<ToWorker>) => {
    switch (data.type) {
      case "start":
        setAssets(data.assets);
        break;
      case "abort":
        controller.abort();
        break;
      case "bytes":
      case "unread":
        pageReads.answer(data);
        break;
      default:
        run(data as EngineCall)
          .catch(fail)
          .finally(() => source?.release?.());
    }
  });

  listenForTraps((error) => void fail(error));
}
