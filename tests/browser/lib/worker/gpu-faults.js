// Runs in the package's worker, before it: what the page posts to the channel "gpu-faults" happens to the
// worker's GPU devices.

const devices = [];
const { requestDevice } = GPUAdapter.prototype;
GPUAdapter.prototype.requestDevice = async function (descriptor) {
  const device = await requestDevice.call(this, descriptor);
  devices.push(device);
  return device;
};

const faults = {
  lost: (device) => device.destroy(),
  full(device) {
    const error = new GPUOutOfMemoryError("no room for a buffer");
    device.dispatchEvent(new GPUUncapturedErrorEvent("uncapturederror", { error }));
  },
};

new BroadcastChannel("gpu-faults").onmessage = ({ data }) => devices.forEach(faults[data]);
