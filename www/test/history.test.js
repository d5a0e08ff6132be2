import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.js";

const { begin, change, nearest, redo, settle, undo } = await load("state/history.ts");

test("changes are undone and done again, each once", () => {
  const history = ["b", "c"].reduce((history, state) => change(history, state), begin("a"));
  assert.equal(undo(history).present, "b");
  assert.equal(undo(undo(undo(history))).present, "a");
  assert.equal(redo(undo(history)).present, "c");
  assert.equal(redo(history).present, "c");
});

test("a drag is one step, and the next drag another", () => {
  let history = begin(0);
  for (const state of [1, 2, 3]) history = change(history, state, "drag 1");
  for (const state of [4, 5]) history = change(history, state, "drag 2");
  assert.equal(undo(history).present, 3);
  assert.equal(undo(undo(history)).present, 0);
  // A slider that is taken hold of twice has the same key.
  history = change(settle(history), 6, "drag 2");
  assert.equal(undo(history).present, 5);
});

test("what is changed after undoing replaces what was undone", () => {
  const history = change(undo(change(begin("a"), "b")), "c");
  assert.equal(redo(history).present, "c");
  assert.equal(undo(history).present, "a");
});

test("of a long history the steps next to the present are kept", () => {
  const long = ["b", "c", "d", "e"].reduce((history, state) => change(history, state), begin("a"));
  const kept = nearest(undo(undo(long)), 1);
  assert.deepEqual([kept.past, kept.present, kept.future], [["b"], "c", ["d"]]);
  assert.equal(undo(kept).present, "b");
  assert.equal(redo(kept).present, "d");
});
