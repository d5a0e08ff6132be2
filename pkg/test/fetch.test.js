// Transfers over a fetch that answers as it is told to.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { beforeEach, mock, test } from "node:test";
import { GlassineError } from "../dist/index.js";
import { fetchBytes, retry } from "../dist/internal/shared/fetch.js";
import { downloadShards } from "../dist/internal/worker/download.js";

const url = new URL("https://models.example/pack/shard.safetensors");
const bytes = Uint8Array.from({ length: 1000 }, (_, index) => index % 251);
const sha256 = createHash("sha256").update(bytes).digest("hex");
const shard = { file: "shard.safetensors", bytes: bytes.length, sha256 };

let requests;
let answers;

beforeEach(() => {
  requests = [];
  answers = [];
  mock.restoreAll();
  mock.timers.reset();
  mock.method(globalThis, "fetch", async (url, options) => {
    requests.push({ url: String(url), range: options.headers?.range });
    return answers.shift()();
  });
  // Waiting before another attempt takes no time here.
  mock.method(globalThis, "setTimeout", (callback) => queueMicrotask(callback));
});

const whole = () => new Response(bytes);
const html = () => new Response("<!doctype html>", { headers: { "content-type": "text/html" } });
const status = (code) => () => new Response("", { status: code });

/** An answer that breaks off after this many bytes. */
const broken = (length) => () => {
  let sent = false;
  return new Response(
    new ReadableStream({
      pull(controller) {
        if (sent) return controller.error(new TypeError("connection reset"));
        sent = true;
        controller.enqueue(bytes.slice(0, length));
      },
    }),
  );
};

async function download() {
  let stored;
  const progress = [];
  const signal = new AbortController().signal;
  const store = async (_, bytes) => (stored = bytes);
  await downloadShards([shard], { origin: url.href, concurrency: 2, signal, onBytes: (received) => progress.push(received), store });
  return { stored, progress };
}

test("a missing file, a refusal and a web page are told apart", async () => {
  answers = [status(404), status(403), html];
  const signal = new AbortController().signal;
  await assert.rejects(fetchBytes(url, { signal }), { code: "model_not_found", recoverable: false });
  await assert.rejects(fetchBytes(url, { signal }), { code: "network", recoverable: false });
  await assert.rejects(fetchBytes(url, { signal }), { code: "model_not_found", message: /web page/ });
});

test("a server's fault may pass, and the attempt is made again", async () => {
  answers = [status(503), status(429), whole];
  const { signal } = new AbortController();
  assert.deepEqual(await retry(() => fetchBytes(url, { signal }), signal), bytes);
  assert.equal(requests.length, 3);
});

test("an attempt that goes on failing is given up, with its error", async () => {
  answers = Array.from({ length: 5 }, () => status(500));
  const { signal } = new AbortController();
  await assert.rejects(retry(() => fetchBytes(url, { signal }), signal), { code: "network", recoverable: true });
  assert.equal(requests.length, 5);
});

test("what cannot pass and what is aborted is not tried again", async () => {
  let attempts = 0;
  const controller = new AbortController();
  const failing = async () => {
    attempts++;
    controller.abort();
    throw new GlassineError("network", "gone", { recoverable: true });
  };
  await assert.rejects(retry(failing, controller.signal), { code: "network" });
  answers = [status(404)];
  await assert.rejects(retry(() => fetchBytes(url, {}), new AbortController().signal), { code: "model_not_found" });
  assert.deepEqual([attempts, requests.length], [1, 1]);
});

test("a shard that breaks off is resumed where it stopped", async () => {
  answers = [broken(400), () => new Response(bytes.slice(400), { status: 206 })];
  const { stored, progress } = await download();
  assert.deepEqual(stored, bytes);
  assert.deepEqual(requests.map(({ range }) => range), [undefined, "bytes=400-"]);
  assert.deepEqual(progress, [...progress].sort((a, b) => a - b));
  assert.equal(progress.at(-1), bytes.length);
});

test("a server without ranges sends it all again", async () => {
  answers = [broken(400), whole];
  assert.deepEqual((await download()).stored, bytes);
});

test("a shard that is not what the manifest says is refused", async () => {
  answers = [() => new Response(bytes.slice(1)), () => new Response(bytes.toReversed()), () => new Response(new Uint8Array(1001))];
  for (let count = 0; count < 3; count++) await assert.rejects(download(), { code: "model_damaged" });
});
