import { launch } from "./lib/chromium.js"; import { serveTests } from "./lib/site.js"; import { readFileSync } from "node:fs";
const site = await serveTests("/tmp/zero/pack", []);
const { browser, close } = await launch(process.argv[2] ?? "lavapipe");
const page = await browser.newPage(); await page.goto(site.url);
import { readdirSync } from "node:fs"; const dir=process.argv[3]; const codes = dir ? Object.fromEntries(readdirSync(dir).filter(f=>f.endsWith(".wgsl")&&(!process.argv[4]||new RegExp(process.argv[4]).test(f))).map(f=>[f,readFileSync(dir+"/"+f,"utf8")])) : JSON.parse(readFileSync("/tmp/codes.json"));
const r = await page.evaluate(async (codes) => {
  const a = await navigator.gpu.requestAdapter(); const d = await a.requestDevice({requiredLimits:{maxComputeInvocationsPerWorkgroup:a.limits.maxComputeInvocationsPerWorkgroup, maxComputeWorkgroupSizeX:a.limits.maxComputeWorkgroupSizeX, maxStorageBuffersPerShaderStage:a.limits.maxStorageBuffersPerShaderStage}});
  const out = [];
  for (const [k, code] of Object.entries(codes)) { const t = performance.now(); const m = d.createShaderModule({ code }); const entry=/@compute[\s\S]*?fn (\w+)/.exec(code)[1];
    try { const p = await d.createComputePipelineAsync({ layout: "auto", compute: { module: m, entryPoint: entry } }); 
    const t1 = performance.now();
    // dispatch nothing large: 1 workgroup with small buffers triggers the driver
    const n=(code.match(/@binding\((\d+)\)/g)||[]).length;
    const bufs=[...Array(n)].map(()=>d.createBuffer({size:1<<16,usage:GPUBufferUsage.STORAGE}));
    const g=d.createBindGroup({layout:p.getBindGroupLayout(0),entries:bufs.map((buffer,binding)=>({binding,resource:{buffer}}))});
    const e=d.createCommandEncoder();const c=e.beginComputePass();c.setPipeline(p);c.setBindGroup(0,g);c.dispatchWorkgroups(1);c.end();d.queue.submit([e.finish()]);await d.queue.onSubmittedWorkDone();
    out.push([k, t1 - t, performance.now()-t1]); } catch (e) { out.push([k, String(e).slice(0,150)]); } }
  return out; }, codes);
r.sort((a,b)=>(b[1]+b[2]) - (a[1]+a[2])); let sum=0; for (const [k, t, u] of r) { sum+=t+u||0; console.log(typeof t=="number"?t.toFixed(0):t, u?.toFixed(0), k.slice(0,110)); } console.log(sum);
await close(); await site.close();
