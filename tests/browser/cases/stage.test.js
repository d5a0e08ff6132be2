// What the canvas shows, by the browser's own compositor, against what the package flattens: screenshots at a zoom of 1
// over the same background. Layers that are turned or scaled are smooth pictures, since the browser and the package
// take their pixels from between others in ways of their own.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { test } from "node:test";
import { PNG } from "pngjs";
import { openDemo } from "../lib/demo.js";
import { scratch } from "../lib/native.js";
import { open } from "../lib/open.js";
import { disc, slopes, writePng } from "../lib/pictures.js";
import { addFiles, drawn, sceneBox } from "../lib/studio.js";

const [width, height] = [200, 160];
const paper = "#ffffff";

const blends = [
  "normal",
  "multiply",
  "screen",
  "overlay",
  "darken",
  "lighten",
  "color-dodge",
  "color-burn",
  "hard-light",
  "soft-light",
  "difference",
  "exclusion",
  "hue",
  "saturation",
  "color",
  "luminosity",
];

const ground = { image: "ground.png" };
const apple = { image: "apple.png", x: 30, y: 10 };
const cup = { image: "cup.png", x: 70, y: 40 };

const scenes = {
  ...Object.fromEntries(blends.map((blend) => [blend, [ground, { ...apple, blend }]])),
  "opacity, without a ground": [
    { ...apple, opacity: 0.35 },
    { ...cup, opacity: 0.8 },
  ],
  "blends without a ground": [apple, { ...cup, blend: "multiply" }, { ...apple, x: 90, blend: "screen", opacity: 0.6 }],
  "a turn about the centre": [ground, { ...apple, rotate: 30 }, { ...cup, rotate: -107.5, blend: "multiply" }],
  "a quarter turn": [ground, { ...cup, rotate: 90 }],
  flipped: [ground, { ...apple, flip: true }, { ...cup, flip: true, rotate: 40 }],
  scaled: [ground, { ...apple, scale: 1.6 }, { ...cup, scale: 0.6, blend: "overlay" }],
  "over the edge": [
    { ...apple, x: -50, y: -40 },
    { ...cup, x: 150, y: 120, rotate: 15 },
  ],
  "a group": [ground, { layers: [apple, { ...cup, blend: "multiply" }], opacity: 0.6, blend: "hard-light" }],
  "a group that is turned, flipped and scaled": [
    ground,
    { layers: [apple, { ...cup, rotate: 20 }], rotate: 25, scale: 0.8, flip: true, x: 12, y: -6 },
  ],
  "groups in groups": [
    ground,
    {
      layers: [
        { layers: [{ ...apple, blend: "screen" }, cup], opacity: 0.5, x: 20 },
        { ...cup, x: 20 },
      ],
      rotate: -15,
    },
  ],
  hidden: [ground, { ...apple, visible: false }, { layers: [cup], visible: false }, { ...cup, x: 20 }],
  "operators, which CSS does not have": [
    apple,
    { ...cup, operator: "source-in" },
    { ...ground, operator: "destination-over", opacity: 0.7 },
  ],
};

test("the canvas shows what flatten makes, within 2 of 255", async (t) => {
  const folder = scratch(t);
  const images = [
    writePng(folder, "ground.png", width, height, slopes(width, height)),
    writePng(folder, "apple.png", 120, 110, disc(120, 110, [220, 60, 40])),
    writePng(folder, "cup.png", 100, 110, disc(100, 110, [40, 120, 230], 180)),
  ];
  const page = await openDemo(t, "?device=cpu", undefined, { gpu: "compositing" });
  await page.setViewport({ width: 1400, height: 1000 });
  await page.$eval(`[name=paper][value="${paper}"]`, (input) => input.click());
  const peer = await open(t);
  const worst = [];
  for (const [name, layers] of Object.entries(scenes)) {
    const file = join(folder, "scene.json");
    writeFileSync(file, JSON.stringify({ glassine: 1, width, height, layers }));
    const shown = await shownBy(page, [file, ...images], layers);
    const expected = await flattened(peer, file, images);
    worst.push([largest(shown, expected), name]);
  }
  for (const [difference, name] of worst) t.diagnostic(`${name}: ${difference}`);
  assert.deepEqual(
    worst.filter(([difference]) => difference > 2),
    [],
  );
});

const count = (layers) => layers.reduce((sum, layer) => sum + (layer.layers ? count(layer.layers) : 1), 0);

/** Opens a scene in the page, and takes a screenshot of it. */
async function shownBy(page, files, layers) {
  // Tabs that are behind another are not drawn.
  await page.bringToFront();
  await addFiles(page, files);
  await page.waitForFunction((name) => document.querySelector(".scene-name").value === name, {}, "scene");
  await drawn(page, count(layers));
  if (JSON.stringify(layers).includes("operator")) await page.waitForSelector(".flat[data-drawn]");
  await page.keyboard.press("1");
  const { x, y, zoom } = await sceneBox(page);
  assert.equal(zoom, 1);
  const png = PNG.sync.read(Buffer.from(await page.screenshot({ clip: { x, y, width, height } })));
  // The next scene has the same name.
  await page.$eval(".scene-name", (input) => {
    input.value = "seen";
    input.dispatchEvent(new Event("change", { bubbles: true }));
  });
  return png.data;
}

async function flattened(peer, file, images) {
  const files = images.map((image) => [basename(image), readFileSync(image, "base64")]);
  const pixels = await peer.evaluate(
    async (json, files, background) => {
      const images = new Map(
        files.map(([name, base64]) => [
          name,
          new Blob([Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))], { type: "image/png" }),
        ]),
      );
      const scene = glassine.Scene.fromJSON(json, images);
      // Over the paper, and not mixed with it.
      const { imageData } = await scene.flatten();
      scene.dispose();
      const over = new glassine.Scene(imageData.width, imageData.height, { background });
      over.add(imageData);
      const flat = await over.flatten();
      over.dispose();
      return [...flat.imageData.data];
    },
    readFileSync(file, "utf8"),
    files,
    paper,
  );
  return pixels;
}

function largest(a, b) {
  let most = 0;
  for (const [index, value] of b.entries()) most = Math.max(most, Math.abs(value - a[index]));
  return most;
}
