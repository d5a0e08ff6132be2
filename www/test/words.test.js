import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.js";

const { complete, untaught, withoutUnfinished } = await load("making/words.ts");

const phrases = ["a red apple", "a red fox", "on a wooden table", "Christmas tree"];

test("what no phrase has was not taught", () => {
  const of = (prompt) => untaught(prompt, phrases);
  assert.deepEqual(of("(Red apple:1.2), on [a] table <lora:dragon style:0.8>"), []);
  assert.deepEqual(of("a Dragonfly on a lotus, dragonfly"), ["dragonfly", "lotus"]);
  assert.deepEqual(of("a café, <3 <b>"), ["café", "b"]);
  assert.equal(of("b c d e f g").length, 5);
  assert.deepEqual(untaught("anything", []), []);
});

test("a word that is being typed is not called unknown while it may become a known one", () => {
  assert.equal(withoutUnfinished("a red app", phrases), "a red ");
  assert.equal(withoutUnfinished("a red app ", phrases), "a red app ");
  assert.equal(withoutUnfinished("a drag", phrases), "a drag");
});

test("the last words go on as a phrase, the longest match first, and then as a word", () => {
  const after = (prompt, caret = prompt.length) => {
    const found = complete(prompt, caret, phrases);
    return found && found.offers.map((offer) => prompt.slice(0, found.from) + offer + prompt.slice(found.to));
  };
  assert.deepEqual(after("a re"), ["a red apple", "a red fox"]);
  assert.deepEqual(after("a red "), ["a red apple", "a red fox"]);
  assert.deepEqual(after("a red apple, chr"), ["a red apple, Christmas tree", "a red apple, christmas"]);
  assert.deepEqual(after("a blue wood"), ["a blue wooden"]);
  assert.deepEqual(after("an app"), ["an apple"]);
  assert.deepEqual(after("(a RED a"), ["(a red apple"]);
  assert.deepEqual(after("a fo near a table", 4), ["a fox near a table"]);
  assert.equal(after("a fox near", 3), undefined, "nothing within a word");
  assert.equal(after("on a wooden table"), undefined, "nothing to add");
  assert.equal(after(""), undefined);
  assert.equal(after("a fox, "), undefined);
});
