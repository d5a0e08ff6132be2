// Runs in the package's worker, before it: every shader has its bindings and does nothing, so that none takes time to
// be compiled or to run. Pictures come out empty.

const { createShaderModule } = GPUDevice.prototype;
GPUDevice.prototype.createShaderModule = function ({ code, ...others }) {
  const start = code.indexOf("@compute");
  const [, name] = /\bfn\s+(\w+)/.exec(code.slice(start));
  const bindings = [...code.matchAll(/@binding\(\d+\)\s*var\s*<[^>]*>\s*(\w+)/g)].map(([, binding]) => `_ = &${binding};`);
  return createShaderModule.call(this, {
    ...others,
    code: `${code.slice(0, start)} @compute @workgroup_size(1) fn ${name}() { ${bindings.join(" ")} }`,
  });
};
