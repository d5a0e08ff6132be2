// The PNG is the layer, to the last bit.

import assert from "node:assert/strict";
import { test } from "node:test";
import { PNG } from "pngjs";
import { open } from "../lib/open.js";

test("the PNG keeps straight alpha, and the colour where alpha is 0", async (t) => {
  const page = await open(t);
  const { png, pixels } = await page.evaluate(async () => {
    const engine = await glassine.createEngine({ model: "mini" });
    const { layers } = await engine.generate({ prompt: "a red apple", seed: 7 });
    const bytes = await layers[0].toBlob().then((blob) => blob.arrayBuffer());
    return { png: Array.from(new Uint8Array(bytes)), pixels: Array.from(layers[0].imageData.data) };
  });
  const decoded = PNG.sync.read(Buffer.from(png));
  assert.equal(decoded.colorType, 6);
  assert.deepEqual(Array.from(decoded.data), pixels);

  const clear = [];
  for (let i = 0; i < pixels.length; i += 4) if (pixels[i + 3] === 0) clear.push(pixels.slice(i, i + 3));
  assert.ok(clear.length > 0, "some of the picture is clear");
  assert.ok(clear.some((rgb) => rgb.some((value) => value > 0)), "and has colour there");
});
