// The PNG is the layer, to the last bit.

import assert from "node:assert/strict";
import { test } from "node:test";
import { PNG } from "pngjs";
import { open } from "../lib/open.js";

test("the PNG keeps straight alpha, and the colour where alpha is 0", async (t) => {
  const page = await open(t);
  const { png, webp, pixels, recipe, opened } = await page.evaluate(async () => {
    const engine = await glassine.createEngine({ model: "mini" });
    const { layers } = await engine.generate({ prompt: "a red apple", seed: 7 });
    const bytes = await layers[0].toBlob().then((blob) => blob.arrayBuffer());
    const webp = await layers[0].toWebp();
    const scene = await glassine.Scene.open(new Blob([bytes]), { name: "apple.png" });
    const again = await (await glassine.Scene.open(webp)).flatten();
    return {
      png: Array.from(new Uint8Array(bytes)),
      webp: Array.from(again.imageData.data),
      pixels: Array.from(layers[0].imageData.data),
      recipe: layers[0].recipe,
      opened: scene.layers[0].recipe,
    };
  });
  const decoded = PNG.sync.read(Buffer.from(png));
  assert.equal(decoded.colorType, 6);
  assert.deepEqual(Array.from(decoded.data), pixels);

  // How it was made, for the web UIs and for glassine itself.
  const text = Buffer.from(png).toString("latin1");
  const size = `${recipe.width}x${recipe.height}`;
  assert.match(text, new RegExp(`tEXtparameters\\0a red apple\\nSteps: ${recipe.steps}, Sampler: .*, Seed: 7, Size: ${size}, Model hash: `));
  assert.match(text, /sRGB/);
  assert.deepEqual(opened, recipe);
  // What flattening makes of a WebP has no colour under alpha 0, and all else.
  for (let i = 0; i < pixels.length; i += 4) if (pixels[i + 3] > 0) assert.deepEqual(webp.slice(i, i + 4), pixels.slice(i, i + 4));

  const clear = [];
  for (let i = 0; i < pixels.length; i += 4) if (pixels[i + 3] === 0) clear.push(pixels.slice(i, i + 3));
  assert.ok(clear.length > 0, "some of the picture is clear");
  assert.ok(clear.some((rgb) => rgb.some((value) => value > 0)), "and has colour there");
});
