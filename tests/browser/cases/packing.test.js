// A checkpoint that the visitor has is packed in the browser and stored.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { checkpoint, companion, singleFile } from "../lib/golden.js";
import { glassine, scratch } from "../lib/native.js";
import { open } from "../lib/open.js";
import { readSafetensors, writeSafetensors } from "../lib/safetensors.js";
import { writeCheckpoint } from "../lib/torch.js";

const decoder = companion("vae_transparent_decoder");
const attn = companion("transparent_attn");

/** Opens the page with the files of the tiny checkpoint as `files`, and of its companions as `decoder` and `attn`. */
async function openWithFiles(t, folder, options) {
  const page = await open(t, options);
  const paths = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  for (const { parentPath, name } of paths) {
    const path = join(parentPath, name);
    await addFile(page, path.slice(folder.length + 1), readFileSync(path));
  }
  await addFile(page, "decoder", readFileSync(decoder));
  await addFile(page, "attn", readFileSync(attn));
  await page.evaluate(() => {
    const { decoder, attn, ...others } = given;
    Object.assign(window, { decoder, attn, files: Object.values(others) });
  });
  return page;
}

/** Puts a file of this name into the page's `given`. */
function addFile(page, name, bytes) {
  return page.evaluate(
    async (name, base64) => {
      const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
      (window.given ??= {})[name] = new File([bytes], name);
    },
    name,
    bytes.toString("base64"),
  );
}

/** The SHA-256 of what the browser has stored as a model's manifest. */
const manifestOf = (page, name) =>
  page.evaluate(async (name) => {
    const root = await navigator.storage.getDirectory();
    const own = await root.getDirectoryHandle("glassine");
    const folder = await (await own.getDirectoryHandle("models")).getDirectoryHandle(name);
    const text = async (file) => (await (await folder.getFileHandle(file)).getFile()).text();
    return text(JSON.parse(await text("model.json")).manifest);
  }, name);

const listed = (page) => page.evaluate(async () => (await models.list()).filter(({ builtIn }) => !builtIn));

test("files become the pack that glassine pack makes, and it generates", async (t) => {
  const folder = scratch(t);
  const model = checkpoint(folder);
  const page = await openWithFiles(t, model);
  for (const quantize of ["q4", "q8", "f16"]) {
    const out = join(folder, `tiny-${quantize}`);
    const companions = ["--transparency-decoder", decoder, "--layers", `attn=${attn}`];
    const defaults = quantize === "q8" ? { steps: 4, guidance: 1, sampler: "lcm" } : {};
    const flags = Object.entries(defaults).flatMap(([name, value]) => [`--default-${name}`, String(value)]);
    glassine("pack", "--model", model, "--quantize", quantize, ...companions, ...flags, "--out", out);

    const { stored, events } = await page.evaluate(async (quantize, defaults) => {
      const events = [];
      const stored = await models.import(files, {
        name: `tiny-${quantize}`,
        ...(quantize !== "q4" && { quantize }),
        transparencyDecoder: decoder,
        layers: { attn },
        defaults,
        onProgress: (event) => events.push(event),
      });
      return { stored, events };
    }, quantize, defaults);
    // The manifest holds the SHA-256 of every shard.
    assert.equal(await manifestOf(page, stored.name), readFileSync(join(out, "manifest.json"), "utf8"));

    const loaded = events.map(({ loadedBytes }) => loadedBytes);
    assert.ok(events.every(({ phase }) => phase === "packing"));
    assert.deepEqual(loaded, loaded.toSorted((a, b) => a - b));
    assert.equal(loaded.at(-1), events[0].totalBytes);
    assert.deepEqual({ ...stored, bytes: 0 }, { name: `tiny-${quantize}`, bytes: 0, builtIn: false, complete: true });
  }

  const { intact } = await page.evaluate(() => models.verify("tiny-q4"));
  assert.ok(intact);
  const layers = await page.evaluate(async () => {
    const engine = await glassine.createEngine({ model: "tiny-q8", device: "cpu" });
    const { layers } = await engine.generate({ prompt: "a red apple", width: 64, height: 64, steps: 1, decodePasses: 1 });
    const { steps, guidance, sampler } = engine.info.defaults;
    return [...layers.map(({ role }) => role), steps, guidance, sampler];
  });
  assert.deepEqual(layers, ["foreground", 4, 1, "lcm"]);
});

test("checkpoints of PyTorch's become the pack that the same tensors make as .safetensors, and it generates", async (t) => {
  const folder = scratch(t);
  const tensors = readSafetensors(singleFile(folder));
  glassine("pack", "--model", join(folder, "tiny.safetensors"), "--quantize", "q4", "--out", join(folder, "tiny"));
  const expected = JSON.parse(readFileSync(join(folder, "tiny/manifest.json"), "utf8"));
  const page = await open(t);
  for (const name of ["model.ckpt", "model.pt"]) {
    await addFile(page, name, writeCheckpoint(tensors));
    const stored = await page.evaluate(async (name) => models.import(given[name], { name: "tiny" }), name);
    assert.equal(stored.complete, true);
    assert.deepEqual(JSON.parse(await manifestOf(page, "tiny")), expected, name);
  }
  const roles = await page.evaluate(async () => {
    const engine = await glassine.createEngine({ model: "tiny", device: "cpu" });
    const { layers } = await engine.generate({ prompt: "a red apple", width: 8, height: 8, steps: 1 });
    return layers.map(({ role }) => role);
  });
  assert.deepEqual(roles, ["image"]);

  const cut = writeCheckpoint(tensors).subarray(0, 100_000);
  await addFile(page, "cut.ckpt", cut);
  const failure = await page.evaluate(() => failureOf(models.import(given["cut.ckpt"])));
  assert.equal(failure.code, "model_damaged");
  assert.match(failure.message, /cut\.ckpt/);
});

test("an aborted import leaves nothing, and a model of that name as it was", async (t) => {
  const page = await openWithFiles(t, checkpoint(scratch(t)));
  const abortAt = (share, options) =>
    page.evaluate(
      async (share, options) => {
        const controller = new AbortController();
        const onProgress = ({ loadedBytes, totalBytes }) => {
          if (loadedBytes > share * totalBytes) controller.abort(new Error("enough"));
        };
        return failureOf(models.import(files, { ...options, signal: controller.signal, onProgress }));
      },
      share,
      options,
    );
  const failure = await abortAt(0.5, { name: "tiny" });
  assert.deepEqual([failure.code, failure.name], ["aborted", "AbortError"]);
  assert.deepEqual(await listed(page), []);

  await page.evaluate(() => models.import(files, { name: "tiny", quantize: "f16" }));
  const before = await listed(page);
  assert.equal((await abortAt(0.9, { name: "tiny", quantize: "q8" })).code, "aborted");
  assert.deepEqual(await listed(page), before);
  assert.ok(await page.evaluate(async () => (await models.verify("tiny")).intact));
});

test("an import whose worker dies leaves nothing", async (t) => {
  const page = await openWithFiles(t, checkpoint(scratch(t)), { before: ["dying"] });
  for (let attempt = 0; attempt < 2; attempt++) {
    const failure = await page.evaluate(() => failureOf(models.import(files, { name: "tiny" })));
    assert.equal(failure.code, "internal", failure.message);
    assert.match(failure.message, /unreachable/);
    assert.deepEqual(await listed(page), []);
  }
});

test("what cannot be packed is refused by name", async (t) => {
  const page = await open(t);
  const one = { dtype: "F32", shape: [1], bytes: Buffer.alloc(4) };
  const sdxl = writeSafetensors(new Map([["conditioner.embedders.1.model.ln_final.weight", one]]));
  await addFile(page, "xl.safetensors", sdxl);
  const failures = await page.evaluate(async () => {
    const model = given["xl.safetensors"];
    return [
      await failureOf(models.import(new File(["PK"], "old.ckpt"))),
      await failureOf(models.import(model)),
      await failureOf(models.import([])),
      await failureOf(models.import(model, { quantise: "q4" })),
      await failureOf(models.import(model, { quantize: "q3" })),
      await failureOf(models.import(model, { layers: { fg: model } })),
      await failureOf(models.import(model, { loras: ["a.safetensors"] })),
      await failureOf(models.import(model, { name: "mini" })),
    ];
  });
  assert.deepEqual(
    failures.map(({ code }) => code),
    ["model_damaged", "model_unsupported", ...Array(6).fill("bad_option")],
  );
  assert.match(failures[0].message, /old\.ckpt is not a sound file of PyTorch's/);
  assert.match(failures[1].message, /xl\.safetensors.*SDXL/);
  assert.deepEqual(await listed(page), []);
});

test("a quota that is too small is refused before anything is packed, with what is missing", async (t) => {
  const page = await openWithFiles(t, checkpoint(scratch(t)));
  const client = await page.createCDPSession();
  await client.send("Storage.overrideQuotaForOrigin", { origin: new URL(page.url()).origin, quotaSize: 10e6 });
  const { failure, events } = await page.evaluate(async () => {
    const events = [];
    const onProgress = (event) => events.push(event);
    return { failure: await failureOf(models.import(files, { name: "tiny", quantize: "f16", onProgress })), events };
  });
  assert.equal(failure.code, "quota_exceeded", failure.message);
  assert.match(failure.message, /\d+ bytes are missing/);
  assert.deepEqual(events, []);
  assert.deepEqual(await listed(page), []);
});
