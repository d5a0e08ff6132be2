import type { Device } from "../../public/types.js";

/** What `navigator.gpu` offers, in a page or a worker. */
export async function findAdapter(): Promise<GPUAdapter | null> {
  const gpu = globalThis.navigator?.gpu;
  try {
    return (await gpu?.requestAdapter({ powerPreference: "high-performance" })) ?? null;
  } catch {
    return null;
  }
}

/** The device that `"auto"` means. A GPU that is emulated on the CPU is slower than the CPU. */
export function recommend(adapter: GPUAdapter | null): Device {
  return adapter && !adapter.info.isFallbackAdapter ? "webgpu" : "cpu";
}
