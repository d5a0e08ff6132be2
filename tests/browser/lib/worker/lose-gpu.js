// Runs in the package's worker, before it: whatever the page posts to the channel "lose-gpu" takes the
// worker's GPU devices away.

const devices = [];
const { requestDevice } = GPUAdapter.prototype;
GPUAdapter.prototype.requestDevice = async function (descriptor) {
  const device = await requestDevice.call(this, descriptor);
  devices.push(device);
  return device;
};

new BroadcastChannel("lose-gpu").onmessage = () => {
  for (const device of devices) device.destroy();
};
