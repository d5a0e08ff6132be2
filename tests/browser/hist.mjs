import { launch } from "./lib/chromium.js"; import { openTestPage } from "./lib/page.js"; import { serveTests } from "./lib/site.js";
const site = await serveTests("/tmp/zero/pack", ["idle","hist",...(process.argv[4]?["default-limits"]:[])]);
const { browser, close } = await launch("software");
const page = await openTestPage(browser, site.url, console.error);
console.log(JSON.stringify(await page.evaluate(async (mode,s) => (await models.estimate("/pack/",{mode,width:s,height:s})).gpuMemory, process.argv[5]??"opaque", Number(process.argv[3]??512)))); await page.evaluate(async (m) => { window.engine = await glassine.createEngine({ model: "/pack/", device: "webgpu", memoryLimit: m }); }, Number(process.argv[2] ?? 8e9));
await page.evaluate((size, mode) => engine.generate({ prompt: "a", seed: 0, width: size, height: size, mode, steps: 1, sampler: "euler" }).then(() => 0), Number(process.argv[3] ?? 512), process.argv[5] ?? "opaque");
const { peak, h } = await page.workers().find((w) => w.url().includes("/worker/engine")).evaluate(() => hist());
console.log(peak / 1e6); for (const [s, n] of Object.entries(h).sort((a, b) => b[0] * b[1] - a[0] * a[1]).slice(0, 22)) console.log((s / 1e6).toFixed(3), n, (s * n / 1e6).toFixed(1));
await close(); await site.close();
