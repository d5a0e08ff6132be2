// Makes the README's picture and the guide's: what the examples of the built pages make, and the sheet of prompts. It
// takes the model in the package; run it again when that changes: `node pictures.js`, after scripts/build, and build
// once more.

import { writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { checkerboard } from "./lib/checkerboard.js";
import { runExample } from "./lib/examples.js";
import { launch } from "./lib/chromium.js";
import { serveFolder, serveTests } from "./lib/site.js";
import { openTestPage } from "./lib/page.js";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** What is on the sheet, one seed each, as scripts/train/evaluate.py has it. */
const prompts = [
  ...["a red apple", "a green apple", "a red apple made of glass", "a strawberry", "a slice of watermelon, 3d", "a hamburger"],
  ...["a cat", "a fox", "a penguin, flat", "a butterfly", "an owl", "a whale"],
  ...["a rose", "a cactus", "a christmas tree", "fire", "smoke", "a soap bubble"],
  ...["a blue glass ball", "a rocket", "a blue car", "a red heart", "a glowing star", "a ghost"],
];

/** For each example whose picture is shown, which of the pictures that it makes. */
const shown = { sprites: 1, sticker: 0, "product-shot": 0, repaint: 1, hires: 0, "three-layers": 0 };

const { browser, close } = await launch("none");
try {
  const { sheet, onCheckerboard } = await makeSheet();
  await save("www/guide/pictures/sheet.png", sheet);
  await save("docs/contact-sheet.png", onCheckerboard);
  const site = await serveFolder(`${root}www/dist/`);
  for (const [name, index] of Object.entries(shown)) {
    const page = await browser.newPage();
    // A machine may be slow: nothing here is a test.
    page.setDefaultTimeout(0);
    const pictures = await runExample(page, `${site.url}examples/${name}/index.html`);
    await save(`www/guide/pictures/${name}.png`, pictures[index].png);
  }
  await site.close();
} finally {
  await close();
}

/** The sheet, and the same twice as large on a checkerboard. */
async function makeSheet() {
  const site = await serveTests();
  const page = await openTestPage(browser, site.url, console.error);
  await page.evaluate(`window.checkerboard = ${checkerboard}`);
  const urls = await page.evaluate(async (prompts) => {
    const engine = await glassine.createEngine({ model: "mini", device: "cpu" });
    const size = engine.info.defaults.width;
    const sheet = new glassine.Scene(6 * size, 4 * size);
    for (const [index, prompt] of prompts.entries()) {
      const { layers } = await engine.generate({ prompt, seed: index + 1 });
      sheet.add(layers[0], { x: (index % 6) * size, y: Math.floor(index / 6) * size });
    }
    const large = new glassine.Scene(2 * sheet.width, 2 * sheet.height);
    const canvas = checkerboard(large.width, large.height);
    const flat = await sheet.flatten();
    canvas.getContext("2d").drawImage(await flat.toImageBitmap(), 0, 0, large.width, large.height);
    large.add(canvas);
    return { sheet: await flat.toDataURL(), onCheckerboard: await (await large.flatten()).toDataURL() };
  }, prompts);
  await site.close();
  const bytes = (url) => Buffer.from(url.split(",")[1], "base64");
  return { sheet: bytes(urls.sheet), onCheckerboard: bytes(urls.onCheckerboard) };
}

async function save(file, png) {
  await writeFile(root + file, png);
  console.log(`${file}: ${png.length} bytes`);
}
