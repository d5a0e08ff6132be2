import assert from "node:assert/strict";
import { test } from "node:test";
import { Queue } from "../dist/internal/page/queue.js";
import { GlassineError } from "../dist/index.js";

/** A job that ends when it is told to. */
function job() {
  let end;
  const ended = new Promise((resolve) => (end = resolve));
  return { start: () => ended, end };
}

test("jobs run one at a time, in the order in which they came", async () => {
  const queue = new Queue();
  const order = [];
  const first = job();
  const one = queue.add(() => (order.push("one"), first.start()));
  const two = queue.add(async () => order.push("two"));
  assert.deepEqual(order, ["one"]);
  first.end();
  await Promise.all([one, two]);
  assert.deepEqual(order, ["one", "two"]);
});

test("a job that fails does not hold up the next", async () => {
  const queue = new Queue();
  const failed = queue.add(() => Promise.reject(new Error("no")));
  const next = queue.add(async () => "next");
  await assert.rejects(failed, /no/);
  assert.equal(await next, "next");
});

test("a job whose signal fires while it waits never begins", async () => {
  const queue = new Queue();
  const first = job();
  const running = queue.add(first.start);
  const controller = new AbortController();
  let begun = false;
  const waiting = queue.add(async () => (begun = true), controller.signal);
  controller.abort(new Error("changed my mind"));
  await assert.rejects(waiting, { code: "aborted", name: "AbortError", message: /changed my mind/ });
  first.end();
  await running;
  await queue.add(async () => {});
  assert.equal(begun, false);
});

test("a running job that is aborted rejects at once and keeps its place until it has stopped", async () => {
  const queue = new Queue();
  const first = job();
  const controller = new AbortController();
  const running = queue.add(first.start, controller.signal);
  let begun = false;
  const next = queue.add(async () => (begun = true));
  controller.abort();
  await assert.rejects(running, { code: "aborted" });
  assert.equal(begun, false);
  first.end();
  await next;
  assert.equal(begun, true);
});

test("clearing rejects all jobs", async () => {
  const queue = new Queue();
  const jobs = [queue.add(job().start), queue.add(job().start)];
  queue.clear(new GlassineError("disposed", "gone"));
  for (const one of jobs) await assert.rejects(one, { code: "disposed" });
});
