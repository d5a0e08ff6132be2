import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.js";

const { alphaError, cutOut, over } = await load("compare/matte.ts");

const picture = (...pixels) => ({ width: pixels.length, height: 1, data: Uint8ClampedArray.from(pixels.flat()) });
const pixels = ({ data }) => Array.from({ length: data.length / 4 }, (_, i) => [...data.subarray(4 * i, 4 * i + 4)]);
const white = [255, 255, 255];

test("a picture over a plain ground is opaque, and clear where it is", () => {
  const seen = over(picture([200, 0, 0, 255], [200, 0, 0, 0], [0, 0, 0, 51]), white);
  assert.deepEqual(pixels(seen), [[200, 0, 0, 255], [255, 255, 255, 255], [204, 204, 204, 255]]);
});

test("what is as far from the ground as can be is cut out as it was", () => {
  const made = picture([0, 0, 0, 255], [0, 0, 0, 0], [255, 0, 0, 255]);
  const cut = cutOut(over(made, white), white);
  assert.deepEqual(pixels(cut).map(([, , , alpha]) => alpha), [255, 0, 255]);
  assert.equal(alphaError(made, cut), 0);
});

test("white on white is lost, and grey becomes black seen through", () => {
  const made = picture([255, 255, 255, 255], [51, 51, 51, 255]);
  const cut = cutOut(over(made, white), white);
  assert.deepEqual(pixels(cut), [[255, 255, 255, 0], [0, 0, 0, 204]]);
  assert.ok(Math.abs(alphaError(made, cut) - (1 + 0.2) / 2) < 1e-9);
});

test("over its own ground a matte looks as the picture did", () => {
  const made = picture([10, 200, 90, 128], [250, 250, 250, 30], [128, 128, 128, 255]);
  for (const ground of [white, [0, 0, 0], [60, 180, 75]]) {
    const seen = over(made, ground);
    const again = over(cutOut(seen, ground), ground);
    for (const [index, value] of again.data.entries()) assert.ok(Math.abs(value - seen.data[index]) <= 2, `${ground}`);
  }
});

test("where there is nothing in both, nothing counts", () => {
  assert.equal(alphaError(picture([0, 0, 0, 0]), picture([0, 0, 0, 4])), 0);
  assert.equal(alphaError(picture([0, 0, 0, 0], [0, 0, 0, 255]), picture([0, 0, 0, 0], [0, 0, 0, 0])), 1);
});
