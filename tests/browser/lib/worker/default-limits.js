// Runs in the package's worker, before it: every GPU has no more than what WebGPU promises of all of
// them. The browser then holds the engine to the default limits, and to no optional feature.

const { requestAdapter } = GPU.prototype;
const { requestDevice } = GPUAdapter.prototype;
const plainDevices = new WeakMap();

GPU.prototype.requestAdapter = async function (options) {
  const adapter = await requestAdapter.call(this, options);
  if (!adapter) return null;
  // A device that is made without wishes has the defaults. It takes an adapter of its own.
  const plain = await requestDevice.call(await requestAdapter.call(this, options));
  plainDevices.set(adapter, plain);
  plain.destroy();
  return adapter;
};

for (const name of ["limits", "features"]) {
  Object.defineProperty(GPUAdapter.prototype, name, {
    configurable: true,
    get() {
      return plainDevices.get(this)[name];
    },
  });
}

GPUAdapter.prototype.requestDevice = function () {
  return requestDevice.call(this);
};
