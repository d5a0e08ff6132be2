// What a worker does about WebGPU before the engine makes a device, which the
// engine's library does itself, out of reach.

/** The buffers of all devices, as far as they are not destroyed. */
const buffers = new Set<GPUBuffer>();

/** Has `watch` see every GPU device made from now on, and keeps an eye on their buffers. */
export function patchWebGpu(watch: (device: GPUDevice) => void): void {
  const { requestDevice } = GPUAdapter.prototype;
  GPUAdapter.prototype.requestDevice = async function (descriptor) {
    const has = (feature: GPUFeatureName): boolean => trueFeatures.call(this).has(feature);
    const requiredFeatures = [...(descriptor?.requiredFeatures ?? [])].filter(has);
    const device = await requestDevice.call(this, { ...descriptor, requiredFeatures });
    watch(device);
    return device;
  };

  const trueFeatures = getterOf(GPUAdapter.prototype, "features");
  Object.defineProperty(GPUAdapter.prototype, "features", {
    configurable: true,
    get(this: GPUAdapter) {
      // The engine's library gives up on a browser's GPU that cannot measure time, though nothing here
      // has it do so.
      const features = new Set<string>([...trueFeatures.call(this), "timestamp-query"]);
      // Emulated, arithmetic in half precision is slower than in full.
      if (this.info.isFallbackAdapter) features.delete("shader-f16");
      return features;
    },
  });

  const { createBuffer } = GPUDevice.prototype;
  GPUDevice.prototype.createBuffer = function (descriptor) {
    const buffer = createBuffer.call(this, descriptor);
    buffers.add(buffer);
    return buffer;
  };
}

/**
 * Frees the memory of buffers that the engine has let go of: they are none of
 * the `held` objects. By itself it would come back when the browser next
 * collects garbage, which knows nothing of how scarce a GPU's memory is. To be
 * called when no work that the engine has prepared waits to be submitted.
 */
export function destroyUnreferencedBuffers(held: WebAssembly.Table): void {
  const inUse = new Set<unknown>();
  for (let index = 0; index < held.length; index++) inUse.add(held.get(index));
  for (const buffer of buffers) {
    if (inUse.has(buffer)) continue;
    buffer.destroy();
    buffers.delete(buffer);
  }
}

function getterOf(prototype: GPUAdapter, name: "features"): (this: GPUAdapter) => GPUSupportedFeatures {
  const getter = Object.getOwnPropertyDescriptor(prototype, name)?.get;
  if (!getter) throw new Error(`WebGPU adapters have no ${name} here`);
  return getter;
}
