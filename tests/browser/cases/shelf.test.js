// The shelf: LoRAs, embeddings and ControlNets that the browser keeps, used by their names.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { miniEmbedding, miniLora } from "../lib/lora.js";
import { open, openTab } from "../lib/open.js";
import { PackServer } from "../lib/pack.js";
import { writeSafetensors } from "../lib/safetensors.js";

const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");

/** As the web UIs know a LoRA: by what follows its header. */
const hashOf = (bytes) => sha256(bytes.subarray(8 + Number(bytes.readBigUInt64LE(0))));

const ink = miniLora({ metadata: { "modelspec.trigger_phrase": "inkst, ink style", ss_sd_model_name: "v1-5.safetensors" } });

/** Opens the test page, in which `fileOf(name)` gives the files by name. */
async function openWith(t, files, options = {}) {
  const page = await open(t, options);
  await giveFiles(page, files);
  return page;
}

const giveFiles = (page, files) =>
  page.evaluate(
    (files) => {
      window.fileOf = (name) => new File([new Uint8Array(files[name])], name);
      window.add = (name, options) => models.shelf.add(fileOf(name), options);
      window.make = async (engine, options) => {
        const { layers, ...result } = await engine.generate({ mode: "opaque", seed: 1, steps: 1, ...options });
        return { rgba: Array.from(layers[0].imageData.data), recipe: layers[0].recipe, ...result };
      };
      /** The files that lie in the shelf's folder, with their lengths. */
      window.lying = async () => {
        let folder = await navigator.storage.getDirectory();
        const lengths = {};
        try {
          for (const name of ["glassine", "shelf"]) folder = await folder.getDirectoryHandle(name);
        } catch {
          return lengths;
        }
        for await (const [name, handle] of folder) lengths[name] = (await handle.getFile()).size;
        return lengths;
      };
    },
    Object.fromEntries(Object.entries(files).map(([name, bytes]) => [name, Array.from(bytes)])),
  );

test("a LoRA on the shelf is there after a reload, and makes by its name what it makes as a file", async (t) => {
  const page = await openWith(t, { "Ink.safetensors": ink });
  const { added, events } = await page.evaluate(async () => {
    const events = [];
    const added = await add("Ink.safetensors", { onProgress: (event) => events.push(event) });
    return { added, events };
  });
  const hash = hashOf(ink);
  assert.deepEqual(added, {
    name: "Ink",
    file: "Ink.safetensors",
    kind: "lora",
    description: "LoRA (plain)",
    bytes: ink.length,
    hash,
    shortHash: hash.slice(0, 12),
    sha256: sha256(ink),
    triggerWords: ["inkst", "ink style"],
    baseModel: "v1-5.safetensors",
  });
  assert.deepEqual([...new Set(events.map(({ phase }) => phase))], ["checking", "storing"]);

  await page.reload();
  await page.waitForFunction(() => window.models);
  await giveFiles(page, { "Ink.safetensors": ink });
  const { listed, plain, given, byName, own, byHash, tagged } = await page.evaluate(async (hash) => {
    const prompt = "a red apple";
    const listed = await models.shelf.list();
    const engine = await glassine.createEngine({ model: "mini", device: "cpu" });
    const plain = await make(engine, { prompt });
    const given = await make(engine, { prompt, loras: [{ file: fileOf("Ink.safetensors"), strength: 0.5 }] });
    const byName = await make(engine, { prompt, loras: [{ file: "ink", name: "Ink", strength: 0.5 }] });
    const byHash = await make(engine, { prompt, loras: [{ file: "another name", hash: hash.slice(0, 12), strength: 0.5 }] });
    const tagged = await make(engine, { prompt: `${prompt}<lora:INK:0.5>` });
    await engine.dispose();
    const changed = await glassine.createEngine({ model: "mini", device: "cpu", loras: [{ file: "Ink", strength: 0.5 }] });
    const own = await make(changed, { prompt });
    await changed.dispose();
    return { listed, plain, given, byName, own, byHash, tagged };
  }, hash);
  assert.deepEqual(listed, [added]);
  assert.notDeepEqual(given.rgba, plain.rgba);
  for (const made of [byName, own, byHash, tagged]) assert.deepEqual(made.rgba, given.rgba);
  assert.deepEqual(plain.loras, []);
  assert.deepEqual(tagged.recipe.loras, [{ name: "Ink", strength: 0.5, hash }]);
  assert.deepEqual(byHash.loras, [{ name: "another name", strength: 0.5, hash }]);
  assert.deepEqual([byName, byHash, tagged].flatMap(({ warnings }) => warnings), []);
});

test("an embedding on the shelf is a word of prompts, one that does not fit is a word as any other", async (t) => {
  const files = { "swirl.safetensors": miniEmbedding(128), "apple.safetensors": miniEmbedding(768) };
  const page = await openWith(t, files);
  const { given, named, optional, inside, without } = await page.evaluate(async () => {
    for (const name of ["swirl.safetensors", "apple.safetensors"]) await add(name);
    const engine = await glassine.createEngine({ model: "mini", device: "cpu" });
    const prompt = "a red swirl";
    const named = await make(engine, { prompt });
    const optional = await make(engine, { prompt, embeddings: [{ file: "swirl" }] });
    const inside = await make(engine, { prompt: "a red swirling apple" });
    for (const { name } of await models.shelf.list()) await models.shelf.remove(name);
    const given = await make(engine, { prompt, embeddings: [{ file: fileOf("swirl.safetensors") }] });
    const without = await make(engine, { prompt: "a red swirling apple" });
    await engine.dispose();
    return { given, named, optional, inside, without };
  });
  assert.deepEqual(given.embeddings, ["swirl"]);
  assert.deepEqual(named.rgba, given.rgba);
  assert.deepEqual(named.recipe.embeddings, given.recipe.embeddings);
  assert.deepEqual(optional.rgba, given.rgba);
  assert.deepEqual(inside.rgba, without.rgba);
  assert.match(inside.warnings.join(), /the embedding apple on the shelf is not used.*768.*128/);
});

test("what the shelf does not have is said with what it has", async (t) => {
  const page = await openWith(t, { "ink.safetensors": ink });
  const { empty, unknown, opened, tagged } = await page.evaluate(async () => {
    const engine = await glassine.createEngine({ model: "mini", device: "cpu" });
    const empty = await failureOf(engine.generate({ prompt: "a", loras: [{ file: "pen" }] }));
    await add("ink.safetensors");
    const unknown = await failureOf(engine.generate({ prompt: "a", loras: [{ file: "pen" }] }));
    const opened = await failureOf(models.shelf.open("pen"));
    const tagged = await make(engine, { prompt: "a red apple<lora:pen:1>" });
    await engine.dispose();
    return { empty, unknown, opened, tagged };
  });
  for (const { code, message } of [empty, unknown, opened]) {
    assert.equal(code, "model_not_found");
    assert.match(message, /on the shelf is called "pen"/);
  }
  assert.match(empty.hint, /models\.shelf\.add/);
  assert.match(unknown.hint, /"ink"/);
  assert.match(tagged.warnings.join("\n"), /no LoRA on the shelf is called pen: there are ink/);
});

test("the same file is kept once, and another of its name is refused", async (t) => {
  const other = Buffer.from(ink);
  other[other.length - 2] ^= 1;
  const page = await openWith(t, { "ink.safetensors": ink, "copy.safetensors": ink, "Ink.safetensors": other });
  const { first, again, refused, named, lengths } = await page.evaluate(async () => {
    const first = await add("ink.safetensors");
    const again = await add("copy.safetensors");
    const refused = await failureOf(add("Ink.safetensors"));
    const named = await add("Ink.safetensors", { name: "ink 2" });
    return { first, again, refused, named, lengths: await lying() };
  });
  assert.deepEqual(again, first);
  assert.equal(refused.code, "bad_option");
  assert.match(refused.message, /Ink\.safetensors cannot be called "Ink": another file on the shelf is called "ink"/);
  assert.equal(named.name, "ink 2");
  const contents = Object.keys(lengths).filter((name) => !name.endsWith(".json"));
  assert.deepEqual(contents.sort(), [sha256(ink), sha256(other)].sort());
  assert.equal(lengths[sha256(ink)], ink.length);
});

test("what is no such file, or damaged, is refused by name and leaves nothing", async (t) => {
  const tensor = (dtype, shape, bytes) => ({ dtype, shape, bytes });
  const layer = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k";
  const nan = Buffer.from(new Float32Array(128).fill(NaN).buffer);
  const files = {
    "note.safetensors": Buffer.from("no"),
    "cut.safetensors": ink.subarray(0, ink.length - 5),
    "nan.safetensors": writeSafetensors(
      new Map([
        [`${layer}.lora_down.weight`, tensor("F32", [1, 128], nan)],
        [`${layer}.lora_up.weight`, tensor("F32", [160, 1], Buffer.alloc(640))],
      ]),
    ),
    "model.safetensors": writeSafetensors(
      new Map([["model.diffusion_model.input_blocks.0.0.weight", tensor("F32", [4, 4, 3, 3], Buffer.alloc(576))]]),
    ),
    "other.safetensors": writeSafetensors(new Map([["a.b.c", tensor("F32", [1], Buffer.alloc(4))]])),
    "empty.safetensors": Buffer.alloc(0),
  };
  const page = await openWith(t, files);
  const { failures, notFiles, lengths, usage } = await page.evaluate(async (names) => {
    const before = (await models.estimate()).usage;
    const failures = {};
    for (const name of names) failures[name] = await failureOf(add(name));
    const notFiles = [];
    for (const given of ["ink", undefined, new Blob()]) notFiles.push((await failureOf(models.shelf.add(given))).code);
    return { failures, notFiles, lengths: await lying(), usage: (await models.estimate()).usage - before };
  }, Object.keys(files));
  const codes = Object.fromEntries(Object.entries(failures).map(([name, { code }]) => [name, code]));
  assert.deepEqual(codes, {
    "note.safetensors": "model_damaged",
    "cut.safetensors": "model_damaged",
    "nan.safetensors": "model_damaged",
    "model.safetensors": "model_unsupported",
    "other.safetensors": "model_unsupported",
    "empty.safetensors": "model_damaged",
  });
  for (const [name, { message, recoverable }] of Object.entries(failures)) {
    assert.ok(message.includes(name), message);
    assert.equal(recoverable, false);
  }
  assert.match(failures["model.safetensors"].message, /is a checkpoint/);
  assert.deepEqual(notFiles, ["bad_option", "bad_option", "bad_option"]);
  assert.deepEqual(lengths, {});
  assert.ok(usage < 10_000, `${usage} bytes are left`);
});

test("what does not fit a model says why", async (t) => {
  const elsewhere = miniLora({ layer: "lora_unet_down_blocks_9_attentions_0_transformer_blocks_0_attn2_to_k" });
  const files = { "ink.safetensors": ink, "other.safetensors": elsewhere, "wide.safetensors": miniEmbedding(768) };
  const page = await openWith(t, files, { pack: new PackServer() });
  const { plain, mini, byUrl, unknown } = await page.evaluate(async (names) => {
    const none = await models.shelf.list({ model: "mini" });
    if (none.length > 0) throw new Error("the shelf is to be empty");
    for (const name of names) await add(name);
    const [plain, mini, byUrl] = [await models.shelf.list(), await models.shelf.list({ model: "mini" }), await models.shelf.list({ model: "/pack/" })];
    return { plain, mini, byUrl, unknown: await failureOf(models.shelf.list({ model: "nothing" })) };
  }, Object.keys(files));
  assert.deepEqual(plain.map(({ name, misfit }) => [name, misfit]), [["ink", undefined], ["other", undefined], ["wide", undefined]]);
  assert.deepEqual(byUrl, mini);
  const [fits, layer, width] = mini;
  assert.equal(fits.misfit, undefined);
  assert.match(layer.misfit, /other\.safetensors cannot be applied: the model has no layer for .*down_blocks_9/);
  assert.match(width.misfit, /768 numbers and the model's 128/);
  assert.equal(unknown.code, "model_not_found");
});

/** A LoRA of 11 MB, of which the page makes all but the header itself. */
const large = miniLora({ rank: 9000 });

const giveLarge = (page) => {
  const start = 8 + Number(large.readBigUInt64LE(0));
  return page.evaluate(
    (head, count) => {
      window.addLarge = (options) => models.shelf.add(new File([new Uint8Array(head), new Float32Array(count).fill(1)], "large.safetensors"), options);
    },
    Array.from(large.subarray(0, start)),
    (large.length - start) / 4,
  );
};

async function openWithLarge(t, options) {
  const page = await openWith(t, {}, options);
  await giveLarge(page);
  return page;
}

/** Opens the page once more. */
async function openBeside(t, page) {
  const other = await openTab(t, page.browser(), page.url());
  await giveFiles(other, {});
  await giveLarge(other);
  return other;
}

test("a file that is taken off the shelf gives its room back, and is gone in other tabs", async (t) => {
  const page = await openWithLarge(t);
  const other = await openBeside(t, page);
  // Two tabs at once put the same file there.
  const [one, two] = await Promise.all([page, other].map((tab) => tab.evaluate(() => addLarge())));
  assert.deepEqual(one, two);
  const used = () => page.evaluate(async () => (await models.estimate()).usage);
  const before = await used();
  const file = await other.evaluate(async () => {
    const file = await models.shelf.open("large");
    return { name: file.name, size: file.size };
  });
  assert.deepEqual(file, { name: "large.safetensors", size: large.length });
  assert.equal(await other.evaluate(() => models.shelf.remove("Large")), true);
  assert.deepEqual(await page.evaluate(async () => [await models.shelf.list(), await lying(), await models.shelf.remove("large")]), [[], {}, false]);
  assert.ok(before - (await used()) > large.length * 0.9);
});

test("an addition that is aborted, or whose page is closed, leaves nothing", async (t) => {
  const page = await openWithLarge(t);
  const aborted = await page.evaluate(async () => {
    const controller = new AbortController();
    const onProgress = ({ phase }) => phase === "storing" && controller.abort();
    return failureOf(addLarge({ signal: controller.signal, onProgress }));
  });
  assert.equal(aborted.code, "aborted");
  assert.deepEqual(await page.evaluate(() => lying()), {});
  const already = await page.evaluate(() => failureOf(addLarge({ signal: AbortSignal.abort() })));
  assert.equal(already.code, "aborted");

  const other = await openBeside(t, page);
  await other.evaluate(() => new Promise((resolve) => void addLarge({ onProgress: ({ phase }) => phase === "storing" && resolve() })));
  await other.close();
  // Whatever was done by then, there is a whole file or none; the worker ends a moment after its page.
  await page.waitForFunction(async () => (await models.shelf.list()).length * 2 === Object.keys(await lying()).length);
  const { sha256 } = await page.evaluate(() => addLarge());
  assert.deepEqual(await page.evaluate(async (name) => (await lying())[name], sha256), large.length);
});

test("where the browser has no more room, it is said and nothing is left", async (t) => {
  // The store's folder, the look for room, the file's bytes, its record's, and their last step.
  for (const at of [2, 4, 6, 10, 12]) {
    const page = await openWith(t, { "ink.safetensors": ink }, { before: [`disk-faults?at=${at}`] });
    const { failure, left } = await page.evaluate(async () => {
      const failure = await failureOf(add("ink.safetensors"));
      return { failure, left: await lying() };
    });
    assert.equal(failure.code, "quota_exceeded", `step ${at}: ${failure.message}`);
    assert.match(failure.message, /ink\.safetensors/);
    assert.match(failure.hint, /Remove models or files of the shelf/);
    assert.equal(failure.recoverable, true);
    assert.deepEqual(left, {}, `step ${at}`);
  }
});

test("a file that is damaged on the shelf is not used", async (t) => {
  const page = await openWith(t, { "ink.safetensors": ink });
  const failure = await page.evaluate(async (sha256) => {
    await add("ink.safetensors");
    let folder = await navigator.storage.getDirectory();
    for (const name of ["glassine", "shelf"]) folder = await folder.getDirectoryHandle(name);
    const handle = await folder.getFileHandle(sha256);
    const bytes = new Uint8Array(await (await handle.getFile()).arrayBuffer());
    bytes[bytes.length - 1] ^= 1;
    const writable = await handle.createWritable();
    await writable.write(bytes);
    await writable.close();
    return failureOf(glassine.createEngine({ model: "mini", device: "cpu", loras: [{ file: "ink" }] }));
  }, sha256(ink));
  assert.equal(failure.code, "model_damaged");
  assert.match(failure.message, /"ink" on the shelf is damaged/);
  assert.match(failure.hint, /shelf\.remove/);
});
