import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.js";

const { fromText, inWords, lacksPictures, steeredOf, toText } = await load("making/steered.ts");
const { fromFragment, linkable, toFragment } = await load("making/link.ts");

const canny = { controlnet: "canny", scale: 0.8, start: 0, end: 0.5 };
const own = { scale: 1, start: 0, end: 1 };

test("a recipe says what steered, with one control or several", () => {
  assert.deepEqual(steeredOf({ prompt: "a fox" }), []);
  assert.deepEqual(steeredOf({ controlScale: 2, controlEnd: 0.5 }), [{ scale: 2, start: 0, end: 0.5 }]);
  assert.deepEqual(steeredOf({ controls: [canny, own] }), [canny, own]);
  // As somebody may have written it.
  assert.deepEqual(steeredOf({ controls: [{ controlnet: 7, scale: "much" }] }), [own]);
  assert.deepEqual(steeredOf({ controls: "canny" }), []);
});

test("what steered is said in words, with what is to be done about it", () => {
  assert.equal(inWords(canny), "canny at 0.8 from 0 to 50 % of the steps");
  assert.equal(inWords(own), "the model's own ControlNet at 1");
  assert.deepEqual(lacksPictures([]), []);
  assert.match(lacksPictures([canny])[0], /a picture.*canny at 0\.8.*settings/);
  assert.match(lacksPictures([canny, own])[0], /2 pictures/);
});

test("a link says how ControlNets steered, and has no pictures", () => {
  const recipe = { prompt: "a fox", controls: [canny, own], control: "apple.png", loras: ["ink"] };
  const said = linkable(recipe);
  assert.deepEqual(Object.keys(said), ["prompt", "steeredBy"]);
  const link = fromFragment(toFragment({ recipe: said }));
  assert.deepEqual(fromText(link.recipe.steeredBy), [canny, own]);
  assert.equal(linkable({ prompt: "a fox", controls: [] }).steeredBy, undefined);
});

test("what is no such text is refused", () => {
  const wrong = ["", "canny", "canny:1:0", "canny:11:0:1", "canny:1:0.5:0.5", "canny:1:0:2", "a:1:0:1:2", `${"a".repeat(129)}:1:0:1`];
  for (const text of [...wrong, "canny:1:0:1/", "canny:1e0:0:1", Array(9).fill(toText([own])).join("/")]) {
    assert.equal(fromText(text), undefined, text);
    assert.throws(() => fromFragment(`#${new URLSearchParams({ prompt: "a", steeredBy: text })}`), /its steeredBy/);
  }
});
