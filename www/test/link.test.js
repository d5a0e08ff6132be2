import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.js";

const { fromFragment, linkable, publicUrl, toFragment } = await load("making/link.ts");

const recipe = { prompt: "a red apple, 100 % & more", mode: "single", width: 64, height: 96, steps: 20, guidance: 4.5, seed: 7 };

test("a link says again what was put into it", () => {
  for (const from of [undefined, { model: "mini" }, { model: "https://example.com/apple/", bytes: 950_000_000 }]) {
    assert.deepEqual(fromFragment(toFragment({ recipe, from })), { recipe, from });
  }
  assert.equal(fromFragment(""), undefined);
  assert.equal(fromFragment("#"), undefined);
});

test("of a recipe a link carries what it knows, and nothing else", () => {
  const own = { ...recipe, model: "sha256:ab", strength: 0.6, note: "mine", file: "/home/me/apple.png", sampler: "lcm", negativePrompt: "" };
  assert.deepEqual(linkable(own), { ...recipe, sampler: "lcm" });
  assert.deepEqual(linkable({ prompt: "a fox", steps: "many", seed: -1 }), { prompt: "a fox" });
});

test("of a model's URL a link carries the place, and nothing of who may see it", () => {
  assert.equal(publicUrl("https://me:secret@example.com:8443/apple/?token=1#x"), "https://example.com:8443/apple/");
  for (const url of ["blob:https://example.com/1", "file:///home/me/apple/", "data:,x", "apple", "https://"]) {
    assert.equal(publicUrl(url), undefined, url);
  }
});

test("what is wrong with a link is said in one line", () => {
  const wrong = {
    "#steps=20": /no prompt/,
    "#prompt=": /no prompt/,
    "#prompt=a&steps=many": /its steps is "many", and should be a whole number from 1 to 1000/,
    "#prompt=a&steps=1.5": /its steps/,
    "#prompt=a&seed=4294967296": /its seed/,
    "#prompt=a&guidance=-1": /its guidance/,
    "#prompt=a&mode=photo": /its mode is "photo", and should be one of single/,
    "#prompt=a&decodePasses=3": /1 or 8/,
    "#prompt=a&model=javascript:alert(1)": /its model/,
    "#prompt=a&model=file:///etc/": /its model/,
    "#prompt=a&prompt=b": /says prompt twice/,
    "#prompt=a&__proto__=b": /says "__proto__"/,
    "#layers": /says "layers", which this page does not know/,
    [`#prompt=${"a".repeat(2001)}`]: /at most 2000 letters/,
  };
  for (const [fragment, pattern] of Object.entries(wrong)) {
    assert.throws(() => fromFragment(fragment), (error) => pattern.test(error.message) && !error.message.includes("\n"), fragment);
  }
});
