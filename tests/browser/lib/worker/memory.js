// Runs in the package's worker, before it: counts the bytes that the engine has on the GPU and in its
// heap, by the phases that it reports. `memoryUse()` says what was counted.

const gpu = { bytes: 0, peakBytes: 0, created: 0, destroyed: 0, collected: 0, textures: 0 };
const largest = { buffer: 0, binding: 0 };
const phases = {};
let heap, heapStartBytes, device, phase, since;

// A buffer that nobody destroys is free when the browser has collected it, which is told a little later.
const records = new WeakMap();
const collection = new FinalizationRegistry((record) => free(record, "collected"));

function free(record, how) {
  if (record.free) return;
  record.free = true;
  gpu.bytes -= record.size;
  gpu[how] += 1;
}

const { createBuffer, createBindGroup, createTexture } = GPUDevice.prototype;

GPUDevice.prototype.createBuffer = function (descriptor) {
  const buffer = createBuffer.call(this, descriptor);
  const record = { size: buffer.size, free: false };
  records.set(buffer, record);
  collection.register(buffer, record);
  gpu.created += 1;
  gpu.bytes += record.size;
  gpu.peakBytes = Math.max(gpu.peakBytes, gpu.bytes);
  if (phase) phase.gpuPeakBytes = Math.max(phase.gpuPeakBytes, gpu.bytes);
  largest.buffer = Math.max(largest.buffer, record.size);
  return buffer;
};

const { destroy } = GPUBuffer.prototype;
GPUBuffer.prototype.destroy = function () {
  free(records.get(this), "destroyed");
  return destroy.call(this);
};

GPUDevice.prototype.createBindGroup = function (descriptor) {
  for (const { resource } of descriptor.entries) {
    if (!resource.buffer) continue;
    const { buffer, offset = 0, size = buffer.size - offset } = resource;
    largest.binding = Math.max(largest.binding, size);
  }
  return createBindGroup.call(this, descriptor);
};

/** The engine has none: were there any, `bytes` would not be all. */
GPUDevice.prototype.createTexture = function (descriptor) {
  gpu.textures += 1;
  return createTexture.call(this, descriptor);
};

const { requestDevice } = GPUAdapter.prototype;
GPUAdapter.prototype.requestDevice = async function (descriptor) {
  return (device = await requestDevice.call(this, descriptor));
};

const { instantiateStreaming } = WebAssembly;
WebAssembly.instantiateStreaming = async (...sources) => {
  const result = await instantiateStreaming(...sources);
  heap = result.instance.exports.memory;
  heapStartBytes = heapBytes();
  return result;
};

const heapBytes = () => heap?.buffer.byteLength ?? 0;

/** Goes on with a phase, or with none. What is noted at its end holds until it goes on. */
function enter(name) {
  if (phase) {
    phase.ms += performance.now() - since;
    Object.assign(phase, { gpuBytes: gpu.bytes, heapBytes: heapBytes() });
  }
  since = performance.now();
  phase = name && (phases[name] ??= { ms: 0, gpuPeakBytes: 0 });
  if (phase) phase.gpuPeakBytes = Math.max(phase.gpuPeakBytes, gpu.bytes);
}

const post = self.postMessage;
self.postMessage = (message, options) => {
  if (message.type === "progress") enter(message.event.phase);
  else if (message.type !== "read") enter(undefined);
  post.call(self, message, options);
};

self.memoryUse = () => ({
  gpu,
  largest,
  phases,
  heapStartBytes,
  heapBytes: heapBytes(),
  device: device && describe(device),
});

function describe({ limits, features }) {
  const all = {};
  for (const name in limits) all[name] = limits[name];
  return { limits: all, features: [...features] };
}

enter("loading");
