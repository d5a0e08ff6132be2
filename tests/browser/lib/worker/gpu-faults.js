// Runs in the package's worker, before it: the page posts a fault and a phase, and the fault happens to the worker's GPU
// device as soon as the worker has a device and says that it is in that phase.

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

let next;
self.addEventListener("message", (event) => {
  if (!event.data.fault) return;
  next = event.data;
  event.stopImmediatePropagation();
});

const post = self.postMessage;
self.postMessage = (message, options) => {
  post.call(self, message, options);
  if (!next || message.event?.phase !== next.phase) return;
  device.then(faults[next.fault]);
  next = undefined;
};
