// Flattened scenes against the browser's own compositing, canvas 2D's
// globalCompositeOperation, wherever it has the operation: not for `clear` and
// `destination`, and never a blend mode together with an operator.

import assert from "node:assert/strict";
import { test } from "node:test";
import { open } from "../lib/open.js";

// As canvas calls them; "normal" is "source-over" there.
const blends =
  "multiply screen overlay darken lighten color-dodge color-burn hard-light soft-light difference exclusion hue saturation color luminosity";
const operators =
  "source-over copy destination-over source-in destination-in source-out destination-out source-atop destination-atop xor lighter";
const settings = [
  { blend: "normal" },
  ...blends.split(" ").map((blend) => ({ blend })),
  ...operators.split(" ").map((operator) => ({ operator })),
];

/**
 * Flattens stacks of layers, draws them on canvases, and gives for each the
 * largest difference in units of 1/255. Runs in the page.
 *
 * An ordinary canvas keeps premultiplied bytes, and Chromium also computes with
 * them, so that it is off by up to 3 of 255 on its own. This one keeps 16-bit
 * floats. Colours are multiplied by alpha for the comparison, as they weigh in
 * any picture: under a low alpha a canvas does not keep them.
 *
 * Some modes divide by a colour or by a difference of two, which a canvas has
 * rounded already. So the colours of layers are multiples of 51: equal, or far
 * from each other.
 */
async function compare(stacks) {
  const [width, height] = [64, 48];
  let state = 1;
  const random = (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const picture = () => {
    const pixels = new ImageData(width, height);
    for (let i = 0; i < pixels.data.length; i++) pixels.data[i] = i % 4 === 3 ? random(256) : 51 * random(6);
    return pixels;
  };
  const canvas = () => {
    const context = new OffscreenCanvas(width, height).getContext("2d", { colorType: "float16" });
    if (context.getContextAttributes().colorType !== "float16") throw new Error("this browser has no canvas of 16-bit floats");
    return context;
  };
  const draw = (context, layer, pixels) => {
    const source = canvas();
    source.putImageData(pixels, 0, 0);
    context.globalAlpha = layer.opacity;
    context.globalCompositeOperation = layer.operator ?? layer.blend.replace("normal", "source-over");
    context.drawImage(source.canvas, layer.x, layer.y);
  };

  const scene = new glassine.Scene(width, height);
  const differences = [];
  for (const stack of stacks) {
    const context = canvas();
    for (const settings of stack) {
      const layer = { opacity: 1, x: random(20) - 10, y: random(20) - 10, ...settings };
      const pixels = picture();
      scene.add(pixels, layer);
      draw(context, layer, pixels);
    }
    const ours = (await scene.flatten()).imageData.data;
    const theirs = context.getImageData(0, 0, width, height, { pixelFormat: "rgba-float16" }).data;
    let largest = 0;
    for (let i = 0; i < ours.length; i++) {
      const alpha = i % 4 === 3 ? 1 : theirs[i - (i % 4) + 3];
      largest = Math.max(largest, Math.abs(ours[i] - theirs[i] * 255) * alpha);
    }
    differences.push(largest);
    for (const layer of [...scene.layers]) scene.remove(layer);
  }
  scene.dispose();
  return differences;
}

const name = ({ blend, operator, opacity }) => `${blend ?? operator}${opacity === undefined ? "" : ` at ${opacity}`}`;

/** Fails if a stack is off by more than 1 of 255, and says which is off most. */
function check(t, stacks, differences) {
  const largest = Math.max(...differences);
  const stack = stacks[differences.indexOf(largest)].map(name).join(", ");
  t.diagnostic(`off most by ${largest.toFixed(2)} of 255: ${stack}`);
  assert.equal(differences.length, stacks.length);
  assert.ok(largest <= 1, stack);
}

test("each blend mode and operator is the canvas's", async (t) => {
  const page = await open(t);
  const stacks = settings.flatMap((one) => [[{ blend: "normal" }, one], [{ blend: "normal" }, { ...one, opacity: 0.6 }]]);
  check(t, stacks, await page.evaluate(compare, stacks));
});

test("stacks of many layers are the canvas's", async (t) => {
  const page = await open(t);
  // Not those that divide, as the colours of a stack may be close to each other.
  const steady = settings.filter(({ blend }) => !["color-dodge", "color-burn", "hue", "saturation"].includes(blend));
  const stacks = steady.map((_, start) =>
    [0, 5, 10, 15, 20, 25].map((step, i) => ({ ...steady[(start + step) % steady.length], opacity: [1, 0.8, 0.6][i % 3] })),
  );
  check(t, stacks, await page.evaluate(compare, stacks));
});
