// Where a model comes from, and what can be wrong with it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { open } from "../lib/open.js";

/** Opens a page and gives the failure of loading `model` in it. */
async function failureOfLoading(t, model) {
  const page = await open(t);
  return page.evaluate((model) => failureOf(glassine.createEngine({ model })), model);
}

test("a model that is not there", async (t) => {
  const failure = await failureOfLoading(t, "/nowhere/");
  assert.equal(failure.code, "model_not_found");
  assert.match(failure.message, /404/);
  assert.ok(failure.hint.length > 0);
});

test("a server that answers every path with its start page", async (t) => {
  const failure = await failureOfLoading(t, "/start-page/");
  assert.equal(failure.code, "model_not_found");
  assert.match(failure.message, /web page/);
});

test("a server that does not answer", async (t) => {
  const failure = await failureOfLoading(t, "http://localhost:9/");
  assert.equal(failure.code, "network");
  assert.equal(failure.recoverable, true);
});

test("one changed bit in a shard", async (t) => {
  const failure = await failureOfLoading(t, "/damaged");
  assert.equal(failure.code, "model_damaged");
});

test("a manifest that is not one", async (t) => {
  const page = await open(t);
  const failures = await page.evaluate(async () => {
    const attempt = (manifest) =>
      failureOf(glassine.createEngine({ model: { read: async () => new TextEncoder().encode(manifest) } }));
    return [await attempt(""), await attempt("null"), await attempt("{}"), await attempt("[".repeat(100_000))];
  });
  for (const { code, message } of failures) {
    assert.ok(["model_damaged", "model_unsupported"].includes(code), `${code}: ${message}`);
  }
});

test("a URL with or without its last slash or its manifest", async (t) => {
  const page = await open(t);
  const names = await page.evaluate(async () => {
    const names = [];
    for (const model of ["/glassine/models/mini", "glassine/models/mini/", "/glassine/models/mini/manifest.json"]) {
      const engine = await glassine.createEngine({ model });
      names.push(engine.info.name);
      await engine.dispose();
    }
    return names;
  });
  assert.equal(new Set(names).size, 1);
});

test("a source of one's own, in each kind of bytes, which stay the caller's", async (t) => {
  const page = await open(t);
  const { sizes, kept } = await page.evaluate(async () => {
    const files = new Map();
    const sizes = [];
    for (const kind of ["Uint8Array", "ArrayBuffer", "Blob"]) {
      const engine = await glassine.createEngine({
        model: {
          async read(path, { signal }) {
            if (!files.has(path)) {
              const response = await fetch(`/glassine/models/mini/${path}`, { signal });
              files.set(path, new Uint8Array(await response.arrayBuffer()));
            }
            const bytes = files.get(path);
            return kind === "Blob" ? new Blob([bytes]) : kind === "ArrayBuffer" ? bytes.buffer : bytes;
          },
        },
      });
      sizes.push(engine.info.sha256);
      await engine.dispose();
    }
    return { sizes, kept: [...files.values()].every((bytes) => bytes.length > 0) };
  });
  assert.equal(new Set(sizes).size, 1);
  assert.ok(kept);
});

test("a source that fails, and one that gives no bytes", async (t) => {
  const page = await open(t);
  const [fails, nothing] = await page.evaluate(async () => [
    await failureOf(
      glassine.createEngine({
        model: {
          async read() {
            throw new Error("the disk is gone");
          },
        },
      }),
    ),
    await failureOf(glassine.createEngine({ model: { read: async () => undefined } })),
  ]);
  assert.equal(fails.code, "io");
  assert.match(fails.message, /the disk is gone/);
  assert.equal(nothing.code, "io");
});
