// A bare Vite project that installs the packed package and does what its README
// says first, in development and as a build.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { launch } from "../lib/chromium.js";
import { packageFolder, serveFolder } from "../lib/site.js";

const vite = fileURLToPath(new URL("../node_modules/vite/bin/vite.js", import.meta.url));
let project;

before(() => {
  project = mkdtempSync(join(tmpdir(), "glassine-vite-"));
  const [, code] = /```ts\n(import \{ createEngine \}[^`]+)```/.exec(readFileSync(join(packageFolder, "README.md"), "utf8"));
  writeFileSync(join(project, "package.json"), JSON.stringify({ name: "bare", private: true, type: "module" }));
  writeFileSync(join(project, "index.html"), '<!doctype html><title>bare</title><script type="module" src="/main.ts"></script>');
  writeFileSync(join(project, "main.ts"), `${code}\nObject.assign(window, { png });\n`);

  const quiet = { cwd: project, stdio: "ignore" };
  execFileSync("npm", ["pack", "--pack-destination", project], { ...quiet, cwd: packageFolder });
  const { version } = JSON.parse(readFileSync(join(packageFolder, "package.json"), "utf8"));
  execFileSync("npm", ["install", "--no-audit", "--no-fund", `./glassine-${version}.tgz`], quiet);
});

after(() => rmSync(project, { recursive: true, force: true }));

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
  execFileSync(process.execPath, [vite, "build"], { cwd: project, stdio: "ignore" });
  const site = await serveFolder(join(project, "dist"));
  t.after(() => site.close());
  await assertMakesPng(t, site.url);
});

test("a build with scenes alone carries neither the engine nor its model", () => {
  const folder = join(project, "scene");
  mkdirSync(folder);
  writeFileSync(join(folder, "index.html"), '<!doctype html><script type="module" src="/main.ts"></script>');
  writeFileSync(join(folder, "main.ts"), 'import { Scene } from "glassine";\nnew Scene(8, 8).flatten();\n');
  execFileSync(process.execPath, [vite, "build"], { cwd: folder, stdio: "ignore" });
  const files = readdirSync(join(folder, "dist/assets")).map((name) => name.replace(/-[\w-]{8}\./, "."));
  assert.deepEqual(files.sort(), ["compose.js", "compose_bg.wasm", "index.js"]);
});

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
