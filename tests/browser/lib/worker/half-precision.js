// Runs in the package's worker, before it: an emulated GPU says that it is none, so that the engine computes in half
// precision on it, and each shader that does is told to the channel "half-precision".

Object.defineProperty(GPUAdapterInfo.prototype, "isFallbackAdapter", { get: () => false });

const channel = new BroadcastChannel("half-precision");
const { createShaderModule } = GPUDevice.prototype;
GPUDevice.prototype.createShaderModule = function (descriptor) {
  if (descriptor.code.startsWith("enable f16;")) channel.postMessage("shader");
  return createShaderModule.call(this, descriptor);
};
