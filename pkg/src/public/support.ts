import { findAdapter, recommend } from "../internal/shared/gpu.js";
import type { Device } from "./types.js";

/** What this browser can do, as {@link checkSupport} finds it. */
export interface Support {
  /** Whether the package can run here at all. */
  readonly ok: boolean;
  /** Whether WebGPU gives an adapter. */
  readonly webgpu: boolean;
  /** Whether its shaders can compute with 16-bit floats. */
  readonly shaderF16: boolean;
  /** The adapter's limits that matter here, by their names in WebGPU, sizes in bytes; empty without WebGPU. */
  readonly limits: Readonly<Record<string, number>>;
  /** Whether WebAssembly with SIMD works. */
  readonly wasm: boolean;
  /** Whether there are web workers. */
  readonly worker: boolean;
  /** The device that `createEngine` takes for `"auto"`. */
  readonly recommended: Device;
  /** Why something is missing or slow, in sentences for people. Empty if all is well. */
  readonly reasons: string[];
}

const limitNames = [
  "maxBufferSize",
  "maxStorageBufferBindingSize",
  "maxStorageBuffersPerShaderStage",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupStorageSize",
  "maxComputeWorkgroupsPerDimension",
] as const;

/** Finds out what this browser can do, before anything is downloaded. Never rejects. */
export async function checkSupport(): Promise<Support> {
  const adapter = await findAdapter();
  const wasm = hasSimd();
  const worker = typeof Worker !== "undefined";
  const reasons: string[] = [];
  if (!worker) reasons.push("There are no web workers here: the engine runs in a browser's page.");
  if (!wasm) reasons.push("WebAssembly with SIMD is missing: a newer browser is needed.");
  if (!adapter) reasons.push(reasonWithoutAdapter());
  else if (adapter.info.isFallbackAdapter) {
    reasons.push("WebGPU is only emulated in software here, which is slower than the CPU.");
  }
  return {
    ok: wasm && worker,
    webgpu: adapter !== null,
    shaderF16: adapter?.features.has("shader-f16") ?? false,
    limits: adapter ? Object.fromEntries(limitNames.map((name) => [name, adapter.limits[name]])) : {},
    wasm,
    worker,
    recommended: recommend(adapter),
    reasons,
  };
}

function reasonWithoutAdapter(): string {
  if (globalThis.isSecureContext === false) return "WebGPU needs a secure page: HTTPS or localhost.";
  return globalThis.navigator?.gpu
    ? "WebGPU finds no GPU that it can use: the CPU will be used."
    : "This browser has no WebGPU: the CPU will be used.";
}

/** Has the browser check the smallest module that uses a SIMD instruction. */
function hasSimd(): boolean {
  if (typeof WebAssembly === "undefined") return false;
  // (module (func (result v128) i32.const 0 i8x16.splat i8x16.popcnt))
  return WebAssembly.validate(
    new Uint8Array([
      0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11,
    ]),
  );
}
