const codes = new WeakMap(), names = new WeakMap(), cur = new WeakMap();
globalThis.perKernel = {};
const M = GPUDevice.prototype.createShaderModule;
GPUDevice.prototype.createShaderModule = function (d) { const m = M.call(this, d); codes.set(m, d.code); return m; };
for (const f of ["createComputePipeline"]) { const P = GPUDevice.prototype[f];
GPUDevice.prototype[f] = function (d) { const p = P.call(this, d); const c = codes.get(d.compute.module); 
 let h=0; for (let i=0;i<c.length;i++) h=(h*31+c.charCodeAt(i))|0;
 const own=[...c.matchAll(/> (\w+): array/g)].map(m=>m[1]).join(","); names.set(p, (d.compute.entryPoint||"")+" "+own.slice(0,80)+" "+(h>>>0).toString(16)); globalThis.codesBy ??= {}; globalThis.codesBy[names.get(p)]=c; return p; }; }
const S = GPUComputePassEncoder.prototype.setPipeline;
GPUComputePassEncoder.prototype.setPipeline = function (p) { cur.set(this, names.get(p)); return S.call(this, p); };
const D = GPUComputePassEncoder.prototype.dispatchWorkgroups;
GPUComputePassEncoder.prototype.dispatchWorkgroups = function (...a) { const n = cur.get(this); (perKernel[n] ??= {n:0,w:0}); perKernel[n].n++; perKernel[n].w += a[0]*(a[1]||1)*(a[2]||1); return D.apply(this, a); };
self.breakdown = () => { const r = { ...perKernel }; globalThis.perKernel = {}; for (const k in perKernel) delete perKernel[k]; return r; };
