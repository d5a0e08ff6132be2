// Bundlers other than Vite 8 (vite.test.js), each as its users have it, without any setting but those that the README names.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { copyFileSync, cpSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { nodeResolve } from "@rollup/plugin-node-resolve";
import { importMetaAssets } from "@web/rollup-plugin-import-meta-assets";
import { build } from "esbuild";
import { rollup } from "rollup";
import webpack from "webpack";
import { makeApp } from "./lib/app.js";
import { sharedBrowser } from "../browser/lib/shared-browser.js";
import { serveFolder } from "../browser/lib/site.js";

const tool = (path) => fileURLToPath(new URL(`./node_modules/${path}`, import.meta.url));

const page = (script) => `<!doctype html><title>app</title><link rel="icon" href="data:," /><script type="module" src="${script}"></script>`;

const code = `
import { configure, createEngine } from "glassine";
import { models } from "glassine/models";

async function main() {
  if (window.assets) configure({ assets });
  const engine = await createEngine({ model: "mini", device: "cpu" });
  const { layers } = await engine.generate({ prompt: "a red apple", steps: 1, decodePasses: 1 });
  const png = await layers[0].toBlob();
  return [png.type, (await models.estimate("mini")).name];
}
window.made = main().catch(({ code, message, hint }) => ({ code, message, hint }));
`;

let app;
let folder;

before(() => {
  app = makeApp(page("./main.js"), "main.js", code);
  folder = app.folder;
});

after(() => app.remove());

/** Gives what the page at a URL has made, with the package's files where it is told. */
async function openApp(t, url, assets) {
  const tab = await (await sharedBrowser("none")).newPage();
  t.after(() => tab.close());
  await tab.evaluateOnNewDocument((assets) => (window.assets = assets), assets);
  await tab.goto(url);
  await tab.waitForFunction(() => window.made);
  return tab.evaluate(() => made);
}

/** The same of a built page. */
async function openBuild(t, name, assets) {
  const site = await serveFolder(join(folder, name));
  t.after(() => site.close());
  return openApp(t, site.url, assets);
}

/** Puts the package's files into a build, as the README says it. */
function copyAssets(place) {
  for (const part of ["dist", "models"]) cpSync(join(folder, "node_modules/glassine", part), join(folder, place, part), { recursive: true });
}

const works = (made) => assert.deepEqual(made, ["image/png", "mini"]);

test("webpack 5, with an entry that is called as the package is", async (t) => {
  const compiler = webpack({ mode: "production", context: folder, entry: { glassine: "./main.js" }, output: { path: join(folder, "webpack") } });
  const stats = await new Promise((resolve, reject) => compiler.run((error, stats) => (error ? reject(error) : resolve(stats))));
  assert.deepEqual(stats.toJson({ all: false, errors: true }).errors, []);
  writeFileSync(join(folder, "webpack/index.html"), page("glassine.js"));
  works(await openBuild(t, "webpack"));
});

test("Rollup 4 with import-meta-assets, which does not look into workers", async (t) => {
  const bundle = await rollup({ input: join(folder, "main.js"), plugins: [nodeResolve(), importMetaAssets()] });
  await bundle.write({ dir: join(folder, "rollup"), format: "es" });
  copyFileSync(join(folder, "index.html"), join(folder, "rollup/index.html"));
  copyAssets("rollup/glassine");
  works(await openBuild(t, "rollup", "glassine/"));
});

test("Parcel 2", async (t) => {
  const options = ["--dist-dir", "parcel", "--cache-dir", "parcel-cache", "--no-source-maps", "--public-url", "./"];
  execFileSync(process.execPath, [tool("parcel/lib/bin.js"), "build", "index.html", ...options], { cwd: folder, stdio: "ignore" });
  works(await openBuild(t, "parcel"));
});

test("esbuild, with the package's files copied and named; without, the error says what to do", async (t) => {
  const out = join(folder, "esbuild");
  await build({ absWorkingDir: folder, entryPoints: ["main.js"], bundle: true, format: "esm", outdir: out, logLevel: "error" });
  copyFileSync(join(folder, "index.html"), join(out, "index.html"));
  const { code, message, hint } = await openBuild(t, "esbuild");
  assert.equal(code, "worker_failed", message);
  assert.match(hint, /configure\(\{ assets \}\)/);

  copyAssets("esbuild/glassine");
  works(await openBuild(t, "esbuild", "glassine/"));
});

test("Vite 7, as a build, and in development with the exclusion that the README names", async (t) => {
  const vite = tool("vite-7/bin/vite.js");
  execFileSync(process.execPath, [vite, "build", "--outDir", "vite"], { cwd: folder, stdio: "ignore" });
  assert.ok(readdirSync(join(folder, "vite/assets")).some((name) => /^engine-.*\.js$/.test(name)));
  works(await openBuild(t, "vite"));

  writeFileSync(join(folder, "vite.config.js"), 'export default { optimizeDeps: { exclude: ["glassine"] } };\n');
  const server = spawn(process.execPath, [vite, "--host", "127.0.0.1"], { cwd: folder });
  t.after(() => server.kill());
  works(await openApp(t, await addressOf(server)));
});

/** The address that a development server says it has. */
function addressOf(server) {
  return new Promise((resolve, reject) => {
    server.on("exit", () => reject(new Error("the server stopped")));
    let output = "";
    server.stdout.on("data", (data) => {
      output += data.toString().replace(/\u001b\[\d+m/g, "");
      const address = /http:\S+/.exec(output);
      if (address && output.includes("\n", address.index)) resolve(address[0]);
    });
  });
}
