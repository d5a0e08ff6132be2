import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { parseManifest, totalBytes } from "../dist/internal/shared/manifest.js";

const mini = JSON.parse(readFileSync(new URL("../models/mini/manifest.json", import.meta.url), "utf8"));
const parse = (manifest) => parseManifest(new TextEncoder().encode(JSON.stringify(manifest)), "here");
const withShard = (changes) => ({ ...mini, shards: [{ ...mini.shards[0], ...changes }] });

test("the built-in model's manifest is read", () => {
  const { name, parts, shards } = parse(mini);
  assert.equal(name, mini.name);
  assert.deepEqual(parts, Object.keys(mini.components));
  assert.equal(totalBytes(shards), mini.shards.reduce((sum, { bytes }) => sum + bytes, 0));
});

test("what is no manifest is refused", () => {
  for (const wrong of [null, [], {}, { glassine: "1" }, { ...mini, name: 1 }, { ...mini, shards: {} }]) {
    assert.throws(() => parse(wrong), { code: "model_damaged" }, JSON.stringify(wrong)?.slice(0, 40));
  }
  assert.throws(() => parseManifest(new Uint8Array([0xff]), "here"), { code: "model_damaged" });
});

test("a format of another version says what to do", () => {
  assert.throws(() => parse({ ...mini, glassine: 1 }), { code: "model_unsupported", hint: /pack the model again/ });
});

test("shards that lead elsewhere or are too large are refused", () => {
  const changes = [
    { file: "../shard.safetensors" },
    { file: "a/b.safetensors" },
    { file: ".safetensors" },
    { file: "shard.bin" },
    { bytes: 0 },
    { bytes: 1.5 },
    { bytes: 16 * 2 ** 20 + 1 },
    { sha256: "ab" },
    { sha256: mini.shards[0].sha256.toUpperCase() },
  ];
  for (const change of changes) assert.throws(() => parse(withShard(change)), { code: "model_damaged" }, JSON.stringify(change));
  assert.throws(() => parse({ ...mini, shards: [mini.shards[0], mini.shards[0]] }), { code: "model_damaged" });
});
