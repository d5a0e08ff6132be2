import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.js";

const {
  about,
  apply,
  fit,
  invert,
  multiply,
  rotation,
  scaling,
  sizeForAspect,
  snapMove,
  snapScale,
  toMatrix,
  toPlacement,
} = await load("state/geometry.ts");

const size = { width: 100, height: 60 };
const near = (actual, expected) => {
  for (const [index, value] of actual.entries())
    assert.ok(Math.abs(value - expected[index]) < 1e-3, `${actual} is ${expected}`);
};

test("a layer turns and scales about its centre, and is flipped before it is turned", () => {
  const matrix = toMatrix({ x: 10, y: 20, scale: 2, rotate: 90, flip: true }, size);
  const centre = apply(matrix, { x: 50, y: 30 });
  near([centre.x, centre.y], [60, 50]);
  // The right edge's middle: flipped to the left, turned upwards, twice as far.
  const { x, y } = apply(matrix, { x: 100, y: 30 });
  near([x, y], [60, -50]);
});

test("a placement comes back from its matrix", () => {
  for (const flip of [false, true]) {
    for (const rotate of [0, 37, -120, 180]) {
      const placement = { x: -12.5, y: 7, scale: 0.35, rotate, flip };
      const back = toPlacement(toMatrix(placement, size), size);
      near([back.x, back.y, back.scale], [placement.x, placement.y, placement.scale]);
      assert.equal(back.flip, flip);
      near(
        [Math.cos((back.rotate * Math.PI) / 180), Math.sin((back.rotate * Math.PI) / 180)],
        [Math.cos((rotate * Math.PI) / 180), Math.sin((rotate * Math.PI) / 180)],
      );
    }
  }
});

test("a mirrored layer is flipped and turned the other way", () => {
  const matrix = multiply(
    about({ x: 0, y: 0 }, scaling(-1, 1)),
    toMatrix({ x: 0, y: 0, scale: 1, rotate: 30, flip: false }, size),
  );
  const { rotate, flip } = toPlacement(matrix, size);
  assert.deepEqual([Math.round(rotate), flip], [-30, true]);
});

test("what is undone by an inverse is where it was", () => {
  const matrix = multiply(rotation(25), scaling(3, 0.5));
  near(multiply(invert(matrix), matrix), [1, 0, 0, 1, 0, 0]);
});

test("a picture fills a box, or covers it", () => {
  const box = { x: 10, y: 10, width: 50, height: 60 };
  const inside = fit(size, box);
  assert.equal(inside.scale, 0.5);
  assert.deepEqual([inside.x + 50, inside.y + 30], [35, 40]);
  assert.equal(fit(size, box, "cover").scale, 1);
});

test("a model is asked for a box's aspect, in sizes that it takes", () => {
  assert.deepEqual(sizeForAspect({ width: 300, height: 300 }, 512 * 512, 64), { width: 512, height: 512 });
  const { width, height } = sizeForAspect({ width: 200, height: 100 }, 512 * 512, 64);
  assert.deepEqual([width, height], [704, 384]);
  assert.deepEqual(sizeForAspect({ width: 1000, height: 1 }, 64 * 64, 64), { width: 2048, height: 64 });
});

test("edges and centres snap to each other, within reach", () => {
  const scene = { x: 0, y: 0, width: 512, height: 512 };
  const near = snapMove({ x: 3, y: 203, width: 100, height: 100 }, [scene], 5);
  assert.deepEqual(near.by, { x: -3, y: 3 });
  assert.deepEqual(near.guides, [
    { axis: "x", at: 0 },
    { axis: "y", at: 256 },
  ]);
  assert.deepEqual(snapMove({ x: 20, y: 100, width: 100, height: 100 }, [scene], 5), {
    by: { x: 0, y: 0 },
    guides: [],
  });
});

test("a corner that is scaled snaps to a line that it can reach", () => {
  const others = [{ x: 0, y: 0, width: 200, height: 1000 }];
  const snapped = snapScale({ x: 100, y: 50 }, { x: 0, y: 0 }, 1.97, others, 8);
  assert.equal(snapped.factor, 2);
  assert.deepEqual(snapped.guides, [{ axis: "x", at: 200 }]);
  assert.equal(snapScale({ x: 100, y: 50 }, { x: 0, y: 0 }, 1.5, others, 8).factor, 1.5);
});
