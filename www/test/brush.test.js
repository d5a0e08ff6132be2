import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.js";

const { coverage, emptyMask, inverted, measure, Stroke } = await load("state/brush.ts");

const at = (mask, x, y) => mask.data[y * mask.width + x];
const dab = (x, y, radius) => ({ x, y, radius });

test("a hard brush covers its circle, with an edge of one pixel", () => {
  const stroke = new Stroke(emptyMask({ width: 21, height: 21 }), 1, false);
  assert.deepEqual(stroke.to(dab(10.5, 10.5, 5)), { x: 4, y: 4, width: 13, height: 13 });
  for (let y = 0; y < 21; y++) {
    for (let x = 0; x < 21; x++) {
      const away = Math.hypot(x - 10, y - 10);
      const value = at(stroke.mask, x, y);
      if (away <= 4.5) assert.equal(value, 255, `${x}, ${y}`);
      else if (away >= 5.5) assert.equal(value, 0, `${x}, ${y}`);
      else assert.ok(value > 0 && value < 255, `${x}, ${y}: ${value}`);
    }
  }
});

test("a soft brush falls off from its hard part to its edge, the same all around", () => {
  const values = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11].map((x) => coverage({ x, y: 0 }, dab(0, 0, 10), dab(0, 0, 10), 0.5));
  assert.deepEqual(values.slice(0, 6), [1, 1, 1, 1, 1, 1]);
  assert.ok(values.slice(6, 11).every((value, index) => value < values[index + 5] && value > 0));
  assert.equal(values[11], 0);
  assert.ok(Math.abs(coverage({ x: 4.2, y: 4.2 }, dab(0, 0, 10), dab(0, 0, 10), 0) - coverage({ x: -Math.hypot(4.2, 4.2), y: 0 }, dab(0, 0, 10), dab(0, 0, 10), 0)) < 1e-12);
});

test("a stroke is as wide all along, however few its points and however often it passes", () => {
  const line = new Stroke(emptyMask({ width: 60, height: 20 }), 1, false);
  line.to(dab(8, 10, 4));
  line.to(dab(52, 10, 4));
  for (let x = 8; x < 52; x++) {
    assert.deepEqual([at(line.mask, x, 5), at(line.mask, x, 6), at(line.mask, x, 13), at(line.mask, x, 14)], [0, 255, 255, 0]);
  }
  const soft = new Stroke(emptyMask({ width: 60, height: 20 }), 0, false);
  soft.to(dab(8, 10, 8));
  soft.to(dab(52, 10, 8));
  const once = soft.mask.data.slice();
  for (let pass = 0; pass < 5; pass++) soft.to(dab(pass % 2 ? 52 : 8, 10, 8));
  assert.deepEqual(soft.mask.data, once);
});

test("no stroke is too small to count, none leaves the mask, and none far outside does anything", () => {
  const mask = emptyMask({ width: 10, height: 10 });
  const small = new Stroke(mask, 0, false);
  small.to(dab(4.5, 4.5, 0.5));
  assert.ok(measure(small.mask).bounds);
  const edge = new Stroke(mask, 1, false);
  assert.deepEqual(edge.to(dab(0, 9, 3)), { x: 0, y: 5, width: 4, height: 5 });
  assert.equal(edge.to(dab(-50, 9, 3)).x, 0);
  const outside = new Stroke(mask, 1, false);
  assert.equal(outside.to(dab(-50, -50, 3)), undefined);
  assert.equal(measure(outside.mask).bounds, undefined);
});

test("erasing takes away what painting has put there, and the mask before is as it was", () => {
  const full = emptyMask({ width: 20, height: 20 }, 255);
  const hole = new Stroke(full, 1, true);
  hole.to(dab(10, 10, 5));
  assert.deepEqual([at(hole.mask, 10, 10), at(hole.mask, 1, 1)], [0, 255]);
  assert.ok(full.data.every((value) => value === 255));
  const filled = new Stroke(hole.mask, 1, false);
  filled.to(dab(10, 10, 7));
  assert.deepEqual(filled.mask.data, full.data);
});

test("a brush that is pressed harder on its way gets wider", () => {
  const stroke = new Stroke(emptyMask({ width: 60, height: 30 }), 1, false);
  stroke.to(dab(5, 15, 1));
  stroke.to(dab(50, 15, 9));
  const width = (x) => Array.from({ length: 30 }, (_, y) => at(stroke.mask, x, y)).filter((value) => value > 127).length;
  assert.ok(width(10) < width(25) && width(25) < width(45), `${[10, 25, 45].map(width)}`);
});

test("what is masked is told, and inverted it is the rest", () => {
  const stroke = new Stroke(emptyMask({ width: 20, height: 10 }), 1, false);
  stroke.to(dab(5, 5, 2.5));
  const { share, bounds } = measure(stroke.mask);
  assert.deepEqual(bounds, { x: 2, y: 2, width: 6, height: 6 });
  assert.ok(share > 0.08 && share < 0.17, `${share}`);
  assert.ok(measure(inverted(stroke.mask)).share > 0.85);
  assert.deepEqual(inverted(inverted(stroke.mask)), stroke.mask);
  assert.deepEqual(measure(emptyMask({ width: 4, height: 4 }, 2)), { share: 0, bounds: undefined });
});
