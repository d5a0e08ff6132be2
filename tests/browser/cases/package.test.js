// The package as npm packs it. How large it may be is in scripts/size.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { packageFolder } from "../lib/site.js";

test("it holds what it needs and nothing else", () => {
  const output = execFileSync("npm", ["pack", "--dry-run", "--json"], { cwd: packageFolder, stdio: ["ignore", "pipe", "ignore"] });
  const [{ files }] = Object.values(JSON.parse(output));
  const paths = files.map(({ path }) => path);

  const needed = [
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "NOTICE",
    "dist/index.js",
    "dist/index.d.ts",
    "dist/internal/worker/compose.js",
    "dist/internal/worker/engine.js",
    "dist/internal/worker/models.js",
    "dist/wasm/compose_bg.wasm",
    "dist/wasm/glassine_bg.wasm",
    "models/mini/MODEL_CARD.md",
    "models/mini/manifest.json",
  ];
  for (const path of needed) {
    assert.ok(paths.includes(path), `${path} is in the package`);
  }
  assert.deepEqual(
    paths.filter((path) => !/^(dist|models)\/|^(LICENSE-APACHE|LICENSE-MIT|NOTICE|README\.md|package\.json|(engine|models)(\.d\.ts|\.js))$/.test(path)),
    [],
  );
});

test("resolvers without exports find every entry", async () => {
  const { main, types, exports } = JSON.parse(readFileSync(join(packageFolder, "package.json"), "utf8"));
  assert.deepEqual([main, types], [exports["."].default, exports["."].types]);
  for (const name of ["engine", "models"]) {
    const entry = await import(join(packageFolder, exports[`./${name}`].default));
    assert.deepEqual(Object.keys(await import(join(packageFolder, `${name}.js`))), Object.keys(entry));
    assert.match(readFileSync(join(packageFolder, `${name}.d.ts`), "utf8"), /export \* from "\.\/dist\//);
  }
});

test("each shard of the built-in model is at most 16 MiB, and is there", () => {
  const model = join(packageFolder, "models/mini");
  const { miniFiles } = readMiniFiles();
  assert.ok(miniFiles.includes("manifest.json"));
  for (const name of miniFiles) {
    assert.ok(readFileSync(join(model, name)).length <= 16 * 2 ** 20, name);
  }
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
  const source = readFileSync(join(packageFolder, "dist/internal/page/mini-names.js"), "utf8");
  return { miniFiles: [...source.matchAll(/^ *"([^"]+)"/gm)].map(([, name]) => name) };
}
