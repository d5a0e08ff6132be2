// Reads of a model that the page reads by itself: the worker asks, the page's own source answers.

import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { GlassineError } from "../dist/index.js";
import { WorkerClient } from "../dist/internal/page/worker-client.js";
import { PageReads } from "../dist/internal/worker/page-reads.js";
import { toRawError } from "../dist/internal/worker/raw-error.js";
import { retrying } from "../dist/internal/worker/sources.js";

globalThis.Worker ??= class {};

/** The page's side of a worker that is played by the test. */
class FakeWorker {
  received = [];
  terminated = false;

  postMessage(message) {
    this.received.push(message);
  }

  terminate() {
    this.terminated = true;
  }

  says(data) {
    this.onmessage({ data });
  }
}

let worker;

beforeEach(() => {
  worker = new FakeWorker();
});

const clientOf = (source) => new WorkerClient(() => ({ worker, url: "https://app.example/engine.js" }), source);
const turn = () => new Promise((resolve) => setImmediate(resolve));
const ofType = (type) => worker.received.filter((message) => message.type === type);

test("a read that never ends does not outlive the abort of its call, and the next call is made", async () => {
  const signals = [];
  const client = clientOf({ read: (_, { signal }) => new Promise(() => signals.push(signal)) });
  const controller = new AbortController();
  const first = client.call("generate", {}, { signal: controller.signal });
  worker.says({ type: "read", read: 1, path: "shard-00001.safetensors", again: false });
  controller.abort("enough");
  assert.ok(signals[0].aborted);
  assert.equal(signals[0].reason, "enough");
  assert.equal(ofType("abort").length, 1);
  worker.says({ type: "failed", error: { code: "aborted", message: "the request was aborted" } });
  await assert.rejects(first, { code: "aborted", cause: "enough" });

  const second = client.call("generate", {}, {});
  worker.says({ type: "read", read: 2, path: "shard-00001.safetensors", again: false });
  assert.equal(signals.length, 2);
  assert.equal(signals[1].aborted, false, "the next call has a signal of its own");
  worker.says({ type: "done", answer: "layers" });
  assert.equal(await second, "layers");
});

test("a read's signal fires when the worker is ended", async () => {
  let signal;
  const client = clientOf({ read: (_, options) => new Promise(() => ({ signal } = options)) });
  const call = client.call("load", {}, {});
  worker.says({ type: "read", read: 1, path: "manifest.json", again: false });
  client.close(new GlassineError("disposed", "the engine was disposed"));
  await assert.rejects(call, { code: "disposed" });
  assert.ok(signal.aborted);
  assert.equal(signal.reason.code, "disposed");
  assert.ok(worker.terminated);
});

test("what is read after an abort is not sent, and nothing more is asked of the source", async () => {
  let give;
  const read = mock.fn(() => new Promise((resolve) => (give = resolve)));
  const controller = new AbortController();
  const call = clientOf({ read }).call("generate", {}, { signal: controller.signal });
  worker.says({ type: "read", read: 1, path: "manifest.json", again: false });
  controller.abort();
  worker.says({ type: "read", read: 2, path: "manifest.json", again: false });
  give(new Uint8Array(4));
  await turn();
  assert.equal(read.mock.callCount(), 1);
  assert.equal(ofType("bytes").length + ofType("unread").length, 0);
  worker.says({ type: "failed", error: { code: "aborted", message: "" } });
  await assert.rejects(call, { code: "aborted" });
});

test("a source's own error is not recoverable, and its message and cause come through", async () => {
  const cause = new Error("the disk is gone");
  const client = clientOf({ read: () => Promise.reject(cause) });
  const call = client.call("generate", {}, {});
  worker.says({ type: "read", read: 1, path: "manifest.json", again: false });
  await turn();
  const [{ error }] = ofType("unread");
  assert.equal(error.recoverable, false);
  // As the worker reports it.
  worker.says({ type: "failed", error: toRawError(error) });
  await assert.rejects(call, (failure) => {
    assert.ok(failure instanceof GlassineError);
    assert.equal(failure.code, "io");
    assert.match(failure.message, /manifest\.json: the disk is gone/);
    assert.equal(failure.recoverable, false);
    assert.equal(failure.cause, cause);
    return true;
  });
});

test("a source's GlassineError keeps its code, hint and cause, and another failure has no cause of it", async () => {
  const cause = new Error("closed");
  const details = { hint: "Open it.", recoverable: true, cause };
  const client = clientOf({ read: () => Promise.reject(new GlassineError("storage_unavailable", "no store", details)) });
  for (const same of [true, false]) {
    const call = client.call("generate", {}, {});
    worker.says({ type: "read", read: 1, path: "manifest.json", again: false });
    await turn();
    const { error } = ofType("unread").at(-1);
    worker.says({ type: "failed", error: same ? error : { code: "non_finite", message: "NaN" } });
    const { code, message, hint, recoverable, cause: given } = await call.catch((error) => error);
    const expected = same
      ? { code: "storage_unavailable", message: "no store", hint: "Open it.", recoverable: true, given: cause }
      : { code: "non_finite", message: "NaN", hint: "", recoverable: false, given: undefined };
    assert.deepEqual({ code, message, hint, recoverable, given }, expected);
  }
});

test("in the worker, a read rejects as soon as its call is aborted, and a late answer is left alone", async () => {
  const posted = [];
  const reads = new PageReads((message) => posted.push(message));
  const source = retrying((path, options) => reads.read(path, options));
  const controller = new AbortController();
  const first = source.read("manifest.json", { signal: controller.signal, again: false });
  controller.abort();
  await assert.rejects(first, { code: "aborted" });
  reads.answer({ type: "bytes", read: 1, bytes: new Uint8Array([1]) });
  await assert.rejects(source.read("manifest.json", { signal: controller.signal, again: false }), { code: "aborted" });
  assert.equal(posted.length, 1, "an aborted call asks for nothing");

  const second = source.read("manifest.json", { signal: new AbortController().signal, again: true });
  assert.deepEqual(posted.at(-1), { type: "read", read: 2, path: "manifest.json", again: true });
  reads.answer({ type: "bytes", read: 2, bytes: new Uint8Array([2]) });
  assert.deepEqual(await second, new Uint8Array([2]));
});

test("in the worker, only a recoverable failure is tried again", async (t) => {
  t.mock.method(globalThis, "setTimeout", (callback) => queueMicrotask(callback));
  const signal = new AbortController().signal;
  for (const [recoverable, attempts] of [[false, 1], [true, 5]]) {
    const reads = new PageReads(({ read }) => {
      const error = { code: "io", message: "gone", recoverable };
      queueMicrotask(() => reads.answer({ type: "unread", read, error }));
      count++;
    });
    let count = 0;
    const source = retrying((path, options) => reads.read(path, options));
    await assert.rejects(source.read("manifest.json", { signal, again: false }), { code: "io", message: "gone", recoverable });
    assert.equal(count, attempts);
  }
});
