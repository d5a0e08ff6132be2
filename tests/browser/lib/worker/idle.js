// Runs in the package's worker, before it: the GPU is given everything but work, so that memory can be
// counted where computing would take an hour. Pictures come out empty.

GPUComputePassEncoder.prototype.dispatchWorkgroups = () => {};
GPUComputePassEncoder.prototype.dispatchWorkgroupsIndirect = () => {};
