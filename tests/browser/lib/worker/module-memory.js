// Runs in the package's worker, before it: `memoryBytes()` says how large its WebAssembly module's memory is.

const { instantiate, instantiateStreaming } = WebAssembly;
let exports;

const noting = (original) =>
  async function (...args) {
    const result = await original.apply(WebAssembly, args);
    ({ exports } = result.instance ?? result);
    return result;
  };

WebAssembly.instantiate = noting(instantiate);
WebAssembly.instantiateStreaming = noting(instantiateStreaming);
self.memoryBytes = () => exports.memory.buffer.byteLength;
