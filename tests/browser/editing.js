// Makes the pictures of docs/editing.md and prints its figures: what repainting, enlarging and recolouring do to a layer.
// It takes the model in the package; run it again when that changes: `node editing.js`, after scripts/build.

import { mkdir, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { checkerboard } from "./lib/checkerboard.js";
import { launch } from "./lib/chromium.js";
import { openTestPage } from "./lib/page.js";
import { serveTests } from "./lib/site.js";

const folder = fileURLToPath(new URL("../../docs/editing/", import.meta.url));

const { browser, close } = await launch("none");
try {
  const site = await serveTests();
  const page = await openTestPage(browser, site.url, console.error);
  await page.evaluate(`window.checkerboard = ${checkerboard}`);
  await page.evaluate(defineTools);
  await mkdir(folder, { recursive: true });
  for (const [name, make] of Object.entries({ bite, ghost, recoloured })) {
    const { pictures, figures } = await page.evaluate(make);
    await writeFile(`${folder}${name}.png`, Buffer.from(pictures.split(",")[1], "base64"));
    console.log(name);
    for (const [what, value] of Object.entries(figures)) console.log(`  ${what}: ${value}`);
  }
  await site.close();
} finally {
  await close();
}

/** What the makers have in common, in the page. */
async function defineTools() {
  window.engine = await glassine.createEngine({ model: "mini", device: "cpu" });
  window.single = async (options) => (await engine.generate({ mode: "single", ...options })).layers[0];

  /** Pictures in a row on a checkerboard, all as high as the highest. */
  window.row = async (pictures, side = 256) => {
    const scene = new glassine.Scene(pictures.length * side, side);
    const canvas = checkerboard(scene.width, side);
    const bitmaps = await Promise.all(pictures.map((picture) => picture.toImageBitmap()));
    bitmaps.forEach((bitmap, index) => canvas.getContext("2d").drawImage(bitmap, index * side, 0, side, side));
    scene.add(canvas);
    return (await scene.flatten()).toDataURL();
  };

  window.mask = (width, height, isWhite) => {
    const mask = new ImageData(width, height);
    for (let index = 0; index < width * height; index += 1) {
      const value = isWhite(index % width, Math.floor(index / width)) ? 255 : 0;
      mask.data.set([value, value, value, 255], 4 * index);
    }
    return mask;
  };

  /** The largest difference of two pictures, in 255, of those values that count. */
  window.largest = ({ imageData: one }, { imageData: other }, counts) =>
    one.data.reduce((most, value, index) => (counts(index) ? Math.max(most, Math.abs(value - other.data[index])) : most), 0);

  /** The mean colour of what is opaque. */
  window.meanColor = ({ imageData: { data } }) => {
    const sums = [0, 0, 0, 0];
    for (let at = 0; at < data.length; at += 4) {
      if (data[at + 3] < 250) continue;
      for (const channel of [0, 1, 2]) sums[channel] += data[at + channel];
      sums[3] += 1;
    }
    return sums.slice(0, 3).map((sum) => Math.round(sum / sums[3])).join(", ");
  };

  /** The mean width of a layer's edge in pixels: what is half transparent, for each pixel of outline. */
  window.edgeWidth = ({ width, height, imageData: { data } }) => {
    const alpha = (x, y) => data[4 * (y * width + x) + 3];
    let soft = 0;
    let outline = 0;
    for (let y = 0; y < height - 1; y += 1) {
      for (let x = 0; x < width - 1; x += 1) {
        if (alpha(x, y) > 25 && alpha(x, y) < 230) soft += 1;
        if (alpha(x, y) > 127 !== alpha(x + 1, y) > 127 || alpha(x, y) > 127 !== alpha(x, y + 1) > 127) outline += 1;
      }
    }
    return (soft / outline).toFixed(2);
  };

  /** How near an enlarged picture, made small again, is to what it was made from: PSNR of premultiplied values. */
  window.reducedPsnr = (large, small) => {
    const scale = large.width / small.width;
    let sum = 0;
    for (let y = 0; y < small.height; y += 1) {
      for (let x = 0; x < small.width; x += 1) {
        const from = 4 * (y * small.width + x);
        for (const channel of [0, 1, 2, 3]) {
          const value = (data, at) => (channel === 3 ? data[at + 3] : (data[at + channel] * data[at + 3]) / 255);
          let mean = 0;
          for (let v = 0; v < scale; v += 1) {
            for (let u = 0; u < scale; u += 1) mean += value(large.imageData.data, 4 * ((y * scale + v) * large.width + x * scale + u));
          }
          sum += (mean / scale ** 2 - value(small.imageData.data, from)) ** 2;
        }
      }
    }
    return `${(10 * Math.log10(255 ** 2 / (sum / (4 * small.width * small.height)))).toFixed(1)} dB`;
  };
}

/** A red apple, of which a bite is made anew. */
async function bite() {
  const apple = await single({ prompt: "a red apple", seed: 1 });
  const { width } = apple;
  const inBite = (x, y) => Math.hypot(x - 0.78 * width, y - 0.45 * width) < 0.24 * width;
  const repainted = await single({ prompt: "a green apple", seed: 5, init: apple, mask: mask(width, width, inBite), maskSoftness: 6 });
  const outside = (index) => !inBite((index >> 2) % width, Math.floor((index >> 2) / width));
  return {
    pictures: await row([apple, repainted]),
    figures: {
      "largest difference outside of the mask, colour and alpha, of 255": largest(apple, repainted, outside),
      "largest difference inside": largest(apple, repainted, (index) => !outside(index)),
    },
  };
}

/** A ghost, enlarged plainly and with detail. */
async function ghost() {
  const small = await single({ prompt: "a ghost", seed: 24 });
  const scene = new glassine.Scene(2 * small.width, 2 * small.height);
  scene.add(small, { scale: 2, x: small.width / 2, y: small.height / 2 });
  const plain = await scene.flatten();
  const large = await engine.enlarge(small, { scale: 2, strength: 0.2, seed: 24 });
  const measure = (picture) => `${reducedPsnr(picture, small)} when reduced again, edge ${edgeWidth(picture)} pixels wide`;
  return {
    pictures: await row([small, plain, large]),
    figures: { "as it was": `edge ${edgeWidth(small)} pixels wide`, "enlarged plainly": measure(plain), "with engine.enlarge": measure(large) },
  };
}

/** An apple on a ground, which gets another colour, and keeps its alpha. */
async function recoloured() {
  const red = await single({ prompt: "a red apple", seed: 2 });
  const { width } = red;
  const green = await single({ prompt: "a green apple", seed: 2, init: red, mask: mask(width, width, () => true), keepAlpha: true, strength: 0.8 });
  const onGround = (layer) => {
    const scene = new glassine.Scene(width, width, { background: "#8fb7d9" });
    scene.add(layer);
    return scene.flatten();
  };
  return {
    pictures: await row([await onGround(red), await onGround(green)]),
    figures: {
      "largest difference of alpha, of 255": largest(red, green, (index) => index % 4 === 3),
      "mean colour before": meanColor(red),
      "mean colour after": meanColor(green),
    },
  };
}
