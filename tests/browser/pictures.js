// Makes the guide's pictures: what the examples of the built pages make, and the sheet of its first page. It takes the
// model in the package; run it again when that changes: `node pictures.js`, after scripts/build, and build once more.

import { writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
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
const shown = { sprites: 1, sticker: 0, "product-shot": 0, repaint: 1, hires: 0 };

const { browser, close } = await launch("none");
try {
  await save("sheet", await makeSheet());
  const site = await serveFolder(`${root}www/dist/`);
  for (const [name, index] of Object.entries(shown)) {
    const page = await browser.newPage();
    const pictures = await runExample(page, `${site.url}examples/${name}/index.html`);
    await save(name, pictures[index].png);
  }
  await site.close();
} finally {
  await close();
}

async function makeSheet() {
  const site = await serveTests();
  const page = await openTestPage(browser, site.url, console.error);
  const url = await page.evaluate(async (prompts) => {
    const engine = await glassine.createEngine({ model: "mini", device: "cpu" });
    const size = engine.info.defaults.width;
    const sheet = new glassine.Scene(6 * size, 4 * size);
    for (const [index, prompt] of prompts.entries()) {
      const { layers } = await engine.generate({ prompt, seed: index + 1 });
      sheet.add(layers[0], { x: (index % 6) * size, y: Math.floor(index / 6) * size });
    }
    return (await sheet.flatten()).toDataURL();
  }, prompts);
  await site.close();
  return Buffer.from(url.split(",")[1], "base64");
}

async function save(name, png) {
  await writeFile(`${root}www/guide/pictures/${name}.png`, png);
  console.log(`${name}.png: ${png.length} bytes`);
}
