// Runs in the package's worker, before it: counts what the engine asks of the GPU. `ledger()` says how much so far.

const counts = { dispatches: 0, workgroups: 0, bytes: 0, submissions: 0, shaders: 0 };

/** The bytes of the different ranges in a bind group. */
const bytesOf = new WeakMap();
/** The bind groups that a pass has set. */
const groupsOf = new WeakMap();

const { createBindGroup } = GPUDevice.prototype;
GPUDevice.prototype.createBindGroup = function (descriptor) {
  const group = createBindGroup.call(this, descriptor);
  const ranges = new Map();
  for (const { resource } of descriptor.entries) {
    const { buffer, offset = 0, size = buffer.size - offset } = resource;
    ranges.set(buffer, (ranges.get(buffer) ?? new Map()).set(offset, size));
  }
  const sizes = [...ranges.values()].flatMap((range) => [...range.values()]);
  bytesOf.set(group, sizes.reduce((sum, size) => sum + size, 0));
  return group;
};

const { setBindGroup, dispatchWorkgroups } = GPUComputePassEncoder.prototype;
GPUComputePassEncoder.prototype.setBindGroup = function (index, group, ...rest) {
  if (!groupsOf.has(this)) groupsOf.set(this, new Map());
  groupsOf.get(this).set(index, group);
  return setBindGroup.call(this, index, group, ...rest);
};

GPUComputePassEncoder.prototype.dispatchWorkgroups = function (x, y = 1, z = 1) {
  counts.dispatches += 1;
  counts.workgroups += x * y * z;
  for (const group of groupsOf.get(this)?.values() ?? []) counts.bytes += bytesOf.get(group);
  return dispatchWorkgroups.call(this, x, y, z);
};

const { createShaderModule } = GPUDevice.prototype;
GPUDevice.prototype.createShaderModule = function (descriptor) {
  counts.shaders += 1;
  return createShaderModule.call(this, descriptor);
};

const { submit } = GPUQueue.prototype;
GPUQueue.prototype.submit = function (commands) {
  counts.submissions += 1;
  return submit.call(this, commands);
};

self.ledger = () => ({ ...counts });
