// Where a model comes from, and what can be wrong with it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { open } from "../lib/open.js";

/** Opens a page and gives the failure of loading `model` in it. */
async function failureOfLoading(t, model, options) {
  const page = await open(t, options);
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

test("a page that is not secure, whose browser computes no SHA-256 for it", async (t) => {
  const insecure = { before: ["insecure"] };
  assert.equal((await failureOfLoading(t, "mini", insecure)).code, "none");
  assert.equal((await failureOfLoading(t, "/damaged", insecure)).code, "model_damaged");
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
  const { fails, attempts, cause, nothing } = await page.evaluate(async () => {
    const gone = new Error("the disk is gone");
    let attempts = 0;
    let cause;
    const read = async () => {
      attempts++;
      throw gone;
    };
    const loading = glassine.createEngine({ model: { read } }).catch((error) => {
      cause = error.cause === gone;
      throw error;
    });
    const fails = await failureOf(loading);
    return { fails, attempts, cause, nothing: await failureOf(glassine.createEngine({ model: { read: async () => undefined } })) };
  });
  assert.equal(fails.code, "io");
  assert.match(fails.message, /the disk is gone/);
  assert.equal(fails.recoverable, false);
  assert.equal(attempts, 1, "what is not said to pass is not tried again");
  assert.ok(cause, "the source's error is the cause");
  assert.equal(nothing.code, "io");
});

test("a source's GlassineError comes through the engine as it is, and is tried again if it may pass", async (t) => {
  const page = await open(t);
  const [lasting, passing] = await page.evaluate(async () => {
    const attempt = async (recoverable) => {
      let attempts = 0;
      const read = async () => {
        // Bad input, for the engine, would be recoverable; and it knows nothing of a page's storage.
        if (!recoverable) throw new glassine.GlassineError("storage_unavailable", "no store", { hint: "Open it." });
        if (++attempts < 3) throw new glassine.GlassineError("network", "gone", { recoverable });
        throw new glassine.GlassineError("bad_option", "not today", { recoverable: false });
      };
      return { ...(await failureOf(glassine.createEngine({ model: { read } }))), attempts };
    };
    return [await attempt(false), await attempt(true)];
  });
  const { code, message, hint, recoverable } = lasting;
  const expected = { code: "storage_unavailable", message: "no store", hint: "Open it.", recoverable: false };
  assert.deepEqual({ code, message, hint, recoverable }, expected);
  assert.deepEqual([passing.code, passing.recoverable, passing.attempts], ["bad_option", false, 3]);
});

test("a source that never answers does not keep the next request waiting, once its own is aborted", async (t) => {
  const page = await open(t);
  const { failure, reason, layers } = await page.evaluate(async () => {
    const controller = new AbortController();
    let hang = false;
    let reason;
    const read = async (path, { signal }) => {
      if (hang) {
        signal.addEventListener("abort", () => (reason = signal.reason));
        setTimeout(() => controller.abort("enough"));
        await new Promise(() => {});
      }
      return (await fetch(`/glassine/models/mini/${path}`)).arrayBuffer();
    };
    // With one network at a time in memory, every request reads.
    const engine = await glassine.createEngine({ model: { read }, memoryLimit: 0 });
    hang = true;
    const failure = await failureOf(engine.generate({ prompt: "a red apple", signal: controller.signal }));
    hang = false;
    const { layers } = await engine.generate({ prompt: "a red apple", steps: 1, decodePasses: 1 });
    return { failure, reason, layers: layers.length };
  });
  assert.equal(failure.code, "aborted");
  assert.equal(reason, "enough");
  assert.equal(layers, 1);
});

test("a fault in telling progress is no abort", async (t) => {
  const page = await open(t);
  await page.evaluate(async () => {
    window.engine = await glassine.createEngine({ model: "mini" });
  });
  await page.workers()[0].evaluate(() => {
    const post = self.postMessage.bind(self);
    self.postMessage = (message, ...rest) => {
      if (message.event?.phase === "denoising") throw new TypeError("this cannot be told");
      post(message, ...rest);
    };
  });
  const failure = await page.evaluate(() => failureOf(engine.generate({ prompt: "a red apple", steps: 1 })));
  assert.equal(failure.code, "internal");
  assert.match(failure.message, /this cannot be told/);
  const layers = await page.evaluate(async () => (await engine.generate({ prompt: "a red apple", steps: 1 })).layers.length);
  assert.equal(layers, 1, "the next request starts the engine anew");
});

test("glassine/engine takes any model but the built-in one", async (t) => {
  const page = await open(t);
  const result = await page.evaluate(async () => {
    const { createEngine } = await import("/glassine/dist/engine.js");
    const engine = await createEngine({ model: "/glassine/models/mini/", device: "cpu" });
    await engine.dispose();
    return { name: engine.info.name, mini: await failureOf(createEngine({ model: "mini" })) };
  });
  assert.equal(result.mini.code, "model_not_found");
  assert.match(result.mini.hint, /"glassine"/);
  assert.equal(typeof result.name, "string");
});

test("a name under which nothing is stored is said to be one, and what may have been meant", async (t) => {
  const page = await open(t);
  const [unknown, near, url, estimate] = await page.evaluate(async () => [
    await failureOf(glassine.createEngine({ model: "dreamshaper" })),
    await failureOf(glassine.createEngine({ model: "Mini" })),
    await failureOf(glassine.createEngine({ model: "./dreamshaper" })),
    await failureOf(models.estimate("dreamshaper")),
  ]);
  for (const { code } of [unknown, near, url, estimate]) assert.equal(code, "model_not_found");
  for (const { message } of [unknown, estimate]) assert.match(message, /no model is stored as "dreamshaper"/);
  assert.match(unknown.hint, /No model is stored here.*"mini".*models\.import/);
  assert.equal(near.hint, 'Did you mean "mini"?');
  assert.doesNotMatch(url.message, /stored/);
});
