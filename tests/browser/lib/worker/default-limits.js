// Runs in the package's worker, before it: every GPU has no more than what WebGPU promises of all of
// them, and `timestamp-query`, without which CubeCL does not start. The browser then holds the engine
// to the default limits.

const needed = ["timestamp-query"];

const { requestAdapter } = GPU.prototype;
// Not the worker's, which takes a device's destruction for its loss.
const { requestDevice } = GPUAdapter.prototype;

GPU.prototype.requestAdapter = async function (options) {
  const adapter = await requestAdapter.call(this, options);
  if (!adapter) return null;
  // A device that is made without wishes has the defaults. It takes an adapter of its own.
  const plain = await requestDevice.call(await requestAdapter.call(this, options));
  const { limits, features } = plain;
  plain.destroy();
  return Object.defineProperties(adapter, {
    limits: { value: limits },
    features: { value: new Set([...features, ...needed]) },
    requestDevice: { value: () => GPUAdapter.prototype.requestDevice.call(adapter, { requiredFeatures: needed }) },
  });
};
