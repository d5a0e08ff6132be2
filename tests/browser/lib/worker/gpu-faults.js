// Runs in the package's worker, before it: what the page posts to the channel "gpu-faults" happens to the
// worker's GPU device, as soon as it has one.

let found;
const device = new Promise((resolve) => (found = resolve));
const { requestDevice } = GPUAdapter.prototype;
GPUAdapter.prototype.requestDevice = async function (descriptor) {
  const device = await requestDevice.call(this, descriptor);
  // The engine has to have heard of it first.
  setTimeout(found, 0, device);
  return device;
};

const faults = {
  lost: (device) => device.destroy(),
  full(device) {
    const error = new GPUOutOfMemoryError("no room for a buffer");
    device.dispatchEvent(new GPUUncapturedErrorEvent("uncapturederror", { error }));
  },
};

new BroadcastChannel("gpu-faults").onmessage = ({ data }) => device.then(faults[data]);
