// The package's worker: it holds the engine, flattens scenes or stores a model, runs one call at
// a time and posts what happens to the page.

import { GlassineError, errorCodes } from "../public/errors.js";
import init, { estimate_gpu_memory, WasmEngine, WasmScene } from "../wasm/glassine.js";
import { destroyUnheld, watchDevices } from "./devices.js";
import { findAdapter, recommend } from "./gpu.js";
import { importPack } from "./storage/importing.js";
import { packFiles } from "./storage/packing.js";
import type {
  Call,
  Calls,
  EngineEvent,
  FromWorker,
  RawError,
  RawScene,
  StorageCall,
  StorageTask,
  ToWorker,
} from "./protocol.js";
import { abortError } from "./queue.js";
import { turn } from "./turn.js";
import { repairFile, verifyModel } from "./storage/verifying.js";

/** The engine's exports, once it is started. */
let module: { __wbindgen_externrefs: WebAssembly.Table } | undefined;
let engine: WasmEngine | undefined;
let controller = new AbortController();
let readCount = 0;
const reads = new Map<number, (bytes: Uint8Array) => void>();

function post(message: FromWorker, transfer: Transferable[] = []): void {
  self.postMessage(message, { transfer });
}

/** Asks the page for a file of the model. If that fails, the page ends this worker. */
function read(path: string, again = false): Promise<Uint8Array> {
  return new Promise((resolve) => {
    reads.set(++readCount, resolve);
    post({ type: "read", read: readCount, path, again });
  });
}

/**
 * Tells the page how far the call is, then lets a request to abort get in
 * between two pieces of computation.
 */
async function report(event: EngineEvent): Promise<boolean> {
  const preview = event.phase === "denoising" ? event.preview : undefined;
  post({ type: "progress", event }, preview ? [preview.rgba.buffer] : []);
  // Between its stages the engine lets go of memory. It reports only when all its work is done.
  if (module) destroyUnheld(module.__wbindgen_externrefs);
  await turn();
  return !controller.signal.aborted;
}

/** The GPU's loss, once there is a GPU device: resolves with the browser's message. */
let lost: Promise<string> | undefined;

/** Has a GPU device that the engine makes tell when it is lost or full. */
function watch(device: GPUDevice): void {
  lost = device.lost.then((info) => info.message);
  void lost.then((message) => post({ type: "dead", error: deviceLost(message) }));
  device.addEventListener("uncapturederror", ({ error }) => {
    if (error instanceof GPUOutOfMemoryError) post({ type: "dead", error: outOfMemory(error.message) });
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

function outOfMemory(message: string): RawError {
  return {
    code: "out_of_memory",
    message: `the GPU is out of memory: ${message}`,
    hint: "Choose a smaller size or a smaller model, or close other pages that use the GPU.",
    recoverable: true,
  };
}

/** The memory that the engine uses by default, in bytes: no page is told how much there is. */
const memoryLimits = { webgpu: 2e9, cpu: 3e9 };

async function load({ device: choice, loras, memoryLimit }: Calls["load"]["request"]): Promise<Calls["load"]["answer"]> {
  const adapter = choice === "cpu" ? null : await findAdapter();
  if (choice === "webgpu" && !adapter) {
    throw new GlassineError("device_unavailable", "this browser gives no WebGPU adapter", {
      hint: 'Use device "auto" or "cpu", or a browser and graphics driver with WebGPU.',
    });
  }
  const device = choice === "auto" ? recommend(adapter) : choice;
  if (device === "webgpu") watchDevices(watch);

  await startModule();
  engine = await WasmEngine.load(read, device, loras, memoryLimit ?? memoryLimits[device], report);
  return engine.info();
}

async function startModule(): Promise<void> {
  module ??= await init({ module_or_path: fetchModule() });
}

async function fetchModule(): Promise<Response> {
  const url = new URL("../wasm/glassine_bg.wasm", import.meta.url);
  const hint = "The package's .wasm file must be served beside its worker: see \"Bundlers\" in the README.";
  let response: Response;
  try {
    response = await fetch(url);
  } catch (cause) {
    throw new GlassineError("worker_failed", `cannot fetch the engine from ${url.href}`, { hint, cause });
  }
  if (!response.ok || response.headers.get("content-type")?.startsWith("text/html")) {
    throw new GlassineError("worker_failed", `there is no engine at ${url.href} (HTTP ${response.status})`, { hint });
  }
  return response;
}

/** Makes one thing of a scene. */
async function withScene<Made>({ scene: json, pictures }: RawScene, make: (scene: WasmScene) => Made): Promise<Made> {
  await startModule();
  const scene = new WasmScene(json, pictures);
  try {
    return make(scene);
  } finally {
    scene.free();
  }
}

async function run(call: Call): Promise<void> {
  controller = new AbortController();
  switch (call.type) {
    case "load":
      return post({ type: "done", answer: await load(call) });
    case "import":
    case "pack":
    case "estimate":
    case "verify":
    case "repair":
      return post({ type: "done", answer: await store(call) });
    default:
      return compute(call);
  }
}

/** Calls that store something may fail in many ways once they are aborted: all of them mean the same. */
async function store(call: StorageCall): Promise<Calls[StorageCall["type"]]["answer"]> {
  const { signal } = controller;
  const task: StorageTask = { signal, report: (event) => post({ type: "progress", event }) };
  try {
    switch (call.type) {
      case "import":
        return await importPack(call, task);
      case "pack":
        await startModule();
        return await packFiles(call, task);
      case "estimate":
        await startModule();
        return estimate_gpu_memory(call.manifest, call.mode, call.width, call.height);
      case "verify":
        return await verifyModel(call, task);
      case "repair":
        return await repairFile(call, task);
    }
  } catch (error) {
    throw signal.aborted ? abortError(signal.reason) : error;
  }
}

async function compute(call: Exclude<Call, StorageCall | { type: "load" }>): Promise<void> {
  if (call.type === "flatten") {
    const answer = await withScene(call, (scene) => scene.flatten());
    return post({ type: "done", answer }, [answer.rgba.buffer, answer.png.buffer]);
  }
  if (call.type === "export") {
    const answer = await withScene(call, (scene) => scene[call.format]());
    return post({ type: "done", answer }, [answer.buffer]);
  }
  if (!engine) throw new Error("no model is loaded");
  if (call.type === "generate") {
    const answer = await engine.generate(call.options, report);
    const layers = answer.layers.flatMap((layer) => [layer.rgba.buffer, layer.png.buffer]);
    return post({ type: "done", answer }, [...layers, answer.latent.data.buffer as ArrayBuffer]);
  }
  if (call.type === "encode") {
    return post({ type: "done", answer: await engine.encode(call.picture, report) });
  }
  const answer = await engine.decode(call.latent, call.vae, call.passes, report);
  post({ type: "done", answer }, answer.flatMap((layer) => [layer.rgba.buffer, layer.png.buffer]));
}

/** Reads the fields that the engine's errors have, and takes any other error for a fault. */
function toRawError(error: unknown): RawError {
  const { code, message, hint, recoverable, latent } = Object(error) as Partial<RawError>;
  if (code !== undefined && code in errorCodes) {
    if (code === "device_lost") return deviceLost(message ?? "");
    return { code, message: message ?? code, hint, recoverable, latent };
  }
  return {
    code: "internal",
    message: `the engine stopped: ${message ?? String(error)}`,
    hint: "The browser's console may say more. The next call starts the engine anew.",
    recoverable: true,
  };
}

/**
 * Reports a failed call. A GPU that is lost makes the engine fail in many ways,
 * sometimes before the loss itself is known: faults wait for it a moment.
 */
async function fail(error: unknown): Promise<void> {
  const raw = toRawError(error);
  if (raw.code !== "internal" && raw.code !== "device_lost") return post({ type: "failed", error: raw });
  if (lost) await Promise.race([lost, new Promise((resolve) => setTimeout(resolve, 1000))]);
  post({ type: "dead", error: raw });
}

self.addEventListener("message", ({ data }: MessageEvent<ToWorker>) => {
  switch (data.type) {
    case "abort":
      controller.abort();
      break;
    case "bytes":
      reads.get(data.read)?.(data.bytes);
      reads.delete(data.read);
      break;
    default:
      run(data).catch(fail);
  }
});

// A trap in the middle of asynchronous Rust code settles no promise: it ends up here.
self.addEventListener("error", (event) => {
  event.preventDefault();
  void fail(event.error ?? event.message);
});
self.addEventListener("unhandledrejection", (event) => {
  if (event.reason instanceof WebAssembly.RuntimeError) void fail(event.reason);
});
