import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.js";

const { inSteps, steering } = await load("state/controls.ts");
const { emptyMask } = await load("state/brush.ts");
const { begin } = await load("state/history.ts");

const layer = { id: "a", source: { layer: "apple" }, scale: 1, start: 0, end: 1 };
const drawn = { ...layer, source: { drawing: begin(emptyMask({ width: 4, height: 4 })) } };
const [own, depth, canny, scribble, other] = [
  { id: "own", name: "The model's own" },
  { id: "1", name: "depth", file: "depth" },
  { id: "2", name: "control_v11p_sd15_Canny", file: "control_v11p_sd15_Canny" },
  { id: "3", name: "scribble", file: "scribble" },
  { id: "4", name: "lineart", file: "lineart", misfit: "it is for another model" },
];

/** Which ControlNet sees what of a control. */
const sees = (control, ...nets) => {
  const { by, look } = steering(control, nets) ?? {};
  return by && [by.id, look];
};

test("the only ControlNet is taken, and sees edges if it is for lines", () => {
  assert.deepEqual(sees(layer, own), ["own", "picture"]);
  assert.deepEqual(sees(layer, depth), ["1", "picture"]);
  assert.deepEqual(sees(layer, canny), ["2", "edges"]);
  assert.deepEqual(sees({ ...layer, source: { picture: "key", name: "apple.png" } }, scribble), ["3", "edges"]);
});

test("what was drawn is seen as it is, by one for drawings if there is one", () => {
  assert.deepEqual(sees(drawn, canny), ["2", "picture"]);
  assert.deepEqual(sees({ ...drawn, look: "edges" }, own, depth, scribble), ["3", "picture"]);
  assert.deepEqual(sees({ ...drawn, net: "1" }, own, depth, scribble), ["1", "picture"]);
});

test("what was chosen stays chosen, as long as it is there and fits", () => {
  const chosen = { ...layer, net: "1", look: "outline" };
  assert.deepEqual(sees(chosen, own, depth), ["1", "outline"]);
  assert.deepEqual(sees({ ...chosen, look: undefined }, canny, depth), ["1", "picture"]);
  assert.deepEqual(sees(chosen, own), ["own", "outline"]);
  assert.deepEqual(sees({ ...layer, net: "4" }, other, own), ["own", "picture"]);
});

test("without one that fits nothing steers", () => {
  assert.equal(sees(layer), undefined);
  assert.equal(sees({ ...layer, net: "4" }, other), undefined);
});

test("a control ends after it begins", () => {
  const steps = (control, at) => {
    const { start, end } = inSteps(control, at);
    return [start, end];
  };
  assert.deepEqual(steps(layer, { start: 0.2 }), [0.2, 1]);
  assert.deepEqual(steps(layer, { end: 0.5 }), [0, 0.5]);
  assert.deepEqual(steps({ ...layer, end: 0.5 }, { start: 0.7 }), [0.7, 0.71]);
  assert.deepEqual(steps({ ...layer, start: 0.5 }, { end: 0.2 }), [0.19, 0.2]);
  assert.deepEqual(steps(layer, { start: 1.5 }), [0.99, 1]);
  assert.deepEqual(steps(layer, { end: -1 }), [0, 0.01]);
});
