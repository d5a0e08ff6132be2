// The package as npm packs it.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { brotliCompressSync, constants } from "node:zlib";
import { packageFolder } from "../lib/site.js";

const MB = 1e6;

test("it holds what it needs, nothing else, and is not too large", (t) => {
  const output = execFileSync("npm", ["pack", "--dry-run", "--json"], { cwd: packageFolder, stdio: ["ignore", "pipe", "ignore"] });
  const [{ files, unpackedSize }] = Object.values(JSON.parse(output));
  const paths = files.map(({ path }) => path);
  t.diagnostic(`${paths.length} files, ${(unpackedSize / MB).toFixed(1)} MB unpacked`);

  for (const path of ["dist/index.js", "dist/index.d.ts", "dist/internal/worker/engine.js", "dist/wasm/glassine_bg.wasm", "models/mini/manifest.json"]) {
    assert.ok(paths.includes(path), `${path} is in the package`);
  }
  assert.deepEqual(
    paths.filter((path) => !/^(dist|models)\/|^(README\.md|package\.json)$/.test(path)),
    [],
  );
  assert.ok(unpackedSize <= 45 * MB);
});

test("each shard of the built-in model is at most 16 MiB, and is there", () => {
  const model = join(packageFolder, "models/mini");
  const { miniFiles } = readMiniFiles();
  assert.ok(miniFiles.includes("manifest.json"));
  for (const name of miniFiles) {
    assert.ok(readFileSync(join(model, name)).length <= 16 * 2 ** 20, name);
  }
});

test("the engine is at most 4 MB, compressed", (t) => {
  const wasm = readFileSync(join(packageFolder, "dist/wasm/glassine_bg.wasm"));
  const compressed = brotliCompressSync(wasm, { params: { [constants.BROTLI_PARAM_QUALITY]: 9 } });
  t.diagnostic(`engine: ${(wasm.length / MB).toFixed(2)} MB, ${(compressed.length / MB).toFixed(2)} MB with brotli`);
  assert.ok(compressed.length <= 4 * MB);
});

test("Node can import it without a window, and what computes says why it cannot run there", async () => {
  const touched = [];
  for (const name of ["window", "document", "Worker", "WebAssembly"]) {
    const value = globalThis[name];
    Object.defineProperty(globalThis, name, {
      configurable: true,
      get() {
        touched.push(name);
        return value;
      },
    });
  }
  const { checkSupport, createEngine, errorCodes, GlassineError, Scene } = await import(`${packageFolder}dist/index.js`);
  const { models } = await import(`${packageFolder}dist/models.js`);
  assert.deepEqual(touched, []);

  await assert.rejects(createEngine({ model: "mini" }), (error) => {
    assert.ok(error instanceof GlassineError);
    assert.equal(error.code, "worker_failed");
    assert.match(error.hint, /browser/);
    return true;
  });
  const scene = new Scene(8, 8);
  scene.add(new Blob([]), { name: "apple" });
  assert.equal(Scene.fromJSON(JSON.stringify(scene), scene.images).layers[0].image, "apple.png");
  await assert.rejects(scene.flatten(), { code: "worker_failed" });
  await assert.rejects(models.import("https://example.com/dreamshaper/"), { code: "worker_failed" });
  const support = await checkSupport();
  assert.equal(support.ok, false);
  assert.ok(support.reasons.length > 0);
  assert.equal((await models.list())[0].name, "mini");
  assert.ok(Object.values(errorCodes).every((meaning) => meaning.length > 0));
});

function readMiniFiles() {
  const source = readFileSync(join(packageFolder, "dist/internal/worker/mini-files.js"), "utf8");
  return { miniFiles: [...source.matchAll(/models\/mini\/([^"]+)"/g)].map(([, name]) => name) };
}
