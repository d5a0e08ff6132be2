// A bare Vite project that installs the packed package and does what its README
// says first, in development and as a build.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { makeApp } from "./lib/app.js";
import { launch } from "../browser/lib/chromium.js";
import { mini } from "../browser/lib/pack.js";
import { packageFolder, serveFolder } from "../browser/lib/site.js";

const vite = fileURLToPath(new URL("./node_modules/vite/bin/vite.js", import.meta.url));
let app;
let project;

before(() => {
  const [, code] = /```ts\n(import \{ createEngine \}[^`]+)```/.exec(readFileSync(join(packageFolder, "README.md"), "utf8"));
  const page = '<!doctype html><title>bare</title><script type="module" src="/main.ts"></script>';
  app = makeApp(page, "main.ts", `${code}\nObject.assign(window, { png });\n`);
  project = app.folder;
});

after(() => app.remove());

test("the README's example runs in development", async (t) => {
  const server = spawn(process.execPath, [vite, "--host", "127.0.0.1"], { cwd: project });
  t.after(() => server.kill());
  const url = await new Promise((resolve, reject) => {
    server.on("exit", () => reject(new Error("vite stopped")));
    let output = "";
    server.stdout.on("data", (data) => {
      output += data.toString().replace(/\u001b\[\d+m/g, "");
      const address = /http:\S+/.exec(output);
      if (address && output.includes("\n", address.index)) resolve(address[0]);
    });
  });
  await assertMakesPng(t, url);
});

test("the README's example runs as a build", async (t) => {
  const names = build(project);
  assert.equal(names.filter((name) => name.startsWith("shard-")).length, mini.shards.length, "the built-in model is there");
  const site = await serveFolder(join(project, "dist"));
  t.after(() => site.close());
  await assertMakesPng(t, site.url);
});

test("a build with scenes alone carries neither the engine nor its model", () => {
  const { files } = buildApp("scene", 'import { Scene } from "glassine";\nnew Scene(8, 8).flatten();\n');
  assert.deepEqual(files, ["compose.js", "compose_bg.wasm", "index.js"]);
});

test("a build that manages models alone carries neither createEngine nor the built-in model's weights", () => {
  const code = 'import { models } from "glassine/models";\nmodels.estimate("mini").then((estimate) => Object.assign(window, { estimate }));\n';
  const { files, scripts } = buildApp("models", code);
  assert.deepEqual(files, ["glassine_bg.wasm", "index.js", "mini-manifest.bin", "models.js"]);
  assert.match(scripts, /estimate/);
  assert.doesNotMatch(scripts, /addLayer|shard-/);
});

test("a build with a model of the app's own does not carry the built-in one", () => {
  const code = 'import { createEngine } from "glassine/engine";\nObject.assign(window, { engine: createEngine({ model: "/model/" }) });\n';
  const { files } = buildApp("own-model", code);
  assert.deepEqual(files, ["compose.js", "compose_bg.wasm", "engine-without-mini.js", "glassine_bg.wasm", "index.js"]);
});

/** Builds a folder, and gives the names in its assets. */
function build(folder) {
  execFileSync(process.execPath, [vite, "build"], { cwd: folder, stdio: "ignore" });
  return readdirSync(join(folder, "dist/assets"));
}

/** Builds an app of one script. Gives the names in its assets without their hashes, and all its scripts' text. */
function buildApp(name, code) {
  const folder = join(project, name);
  mkdirSync(folder);
  writeFileSync(join(folder, "index.html"), '<!doctype html><script type="module" src="/main.ts"></script>');
  writeFileSync(join(folder, "main.ts"), code);
  const names = build(folder);
  const scripts = names.filter((name) => name.endsWith(".js")).map((name) => readFileSync(join(folder, "dist/assets", name), "utf8"));
  return { files: names.map((name) => name.replace(/-[\w-]{8}\./, ".")).sort(), scripts: scripts.join("\n") };
}

async function assertMakesPng(t, url) {
  const { browser, close } = await launch("none");
  t.after(close);
  const page = await browser.newPage();
  const errors = [];
  page.on("pageerror", (error) => errors.push(error.message));
  await page.goto(url);
  await page.waitForFunction(() => window.png, { timeout: 120_000 }).catch((error) => errors.push(error.message));
  assert.deepEqual(errors, []);
  const start = await page.evaluate(async () => Array.from(new Uint8Array(await png.slice(0, 4).arrayBuffer())));
  assert.deepEqual(start, [0x89, 0x50, 0x4e, 0x47]);
}
