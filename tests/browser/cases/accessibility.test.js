// axe-core looks at the demo page: light, dark and as wide as a phone, empty, at work, and with what opens over it.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { findings } from "../lib/axe.js";
import { openDemo, textIs } from "../lib/demo.js";
import { miniLora } from "../lib/lora.js";
import { scratch } from "../lib/native.js";
import { PackServer } from "../lib/pack.js";
import { disc, slopes, writePng } from "../lib/pictures.js";
import { addFiles, drawn, setPrompt } from "../lib/studio.js";

const looks = {
  light: { width: 1440, height: 900, scheme: "light" },
  dark: { width: 1440, height: 900, scheme: "dark" },
  phone: { width: 390, height: 844, scheme: "light" },
};

for (const [name, { width, height, scheme }] of Object.entries(looks)) {
  test(`nothing serious: ${name}`, async (t) => {
    const pack = new PackServer();
    pack.teach(["a red apple", "a red fox"]);
    const page = await openDemo(t, "?model=/pack/&device=cpu&steps=1", pack);
    await page.setViewport({ width, height });
    await page.emulateMediaFeatures([
      { name: "prefers-color-scheme", value: scheme },
      { name: "prefers-reduced-motion", value: "reduce" },
    ]);
    await page.waitForSelector("#generate:not(:disabled)");
    assert.deepEqual(await findings(page), [], "empty");

    await page.click("#generate");
    await page.waitForSelector("#layers li");
    const folder = scratch(t);
    const lora = join(folder, "style.safetensors");
    writeFileSync(lora, miniLora({ metadata: { "modelspec.trigger_phrase": "ink style" } }));
    await addFiles(page, [
      writePng(folder, "ground.png", 120, 90, slopes(120, 90)),
      writePng(folder, "disc.png", 60, 60, disc(60, 60, [40, 120, 230])),
    ]);
    await drawn(page, 3);
    const wide = await page.evaluate(() => [
      document.documentElement.scrollWidth,
      document.documentElement.clientWidth,
    ]);
    assert.equal(wide[0], wide[1], "nothing is wider than the page");
    if (name === "phone") await page.click("[aria-label='Layers and properties']");
    await page.$eval("#layers li:last-child .name", (button) => button.click());
    assert.deepEqual(await findings(page), [], "with layers");
    if (name === "phone") await page.click("[aria-label='Layers and properties']");

    await page.click("[aria-label^='Paint a mask']");
    assert.deepEqual(await findings(page), [], "a mask that is to be painted");
    await page.click("#mask-fill");
    await page.waitForSelector(".stage > .mask");
    await page.waitForSelector("[name=maskSoftness]");
    assert.deepEqual(await findings(page), [], "a mask");
    await page.click("[aria-label^='Extend a layer']");
    await page.type("[name=extend-right]", "8");
    await page.waitForSelector("[data-side]");
    assert.deepEqual(await findings(page), [], "a layer that is to grow");
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= document.documentElement.clientWidth));
    await page.click("[aria-label='Select and move']");

    for (const menu of ["#view", "#export", "#models"]) {
      await page.click(`${menu} summary`);
      assert.deepEqual(await findings(page), [], menu);
      await page.keyboard.press("Escape");
      assert.equal(await page.$(`${menu}[open]`), null);
    }
    await page.click("#more");
    await (await page.$("#loras")).uploadFile(lora);
    await page.waitForSelector(".steering .chip");
    assert.deepEqual(await findings(page), [], "settings");
    await page.click("#more");
    await setPrompt(page, "a red");
    await page.waitForSelector("#offers");
    await page.keyboard.press("ArrowDown");
    assert.deepEqual(await findings(page), [], "what the model was taught");
    await setPrompt(page, "a dragonfly ");
    await textIs(page, "#untaught", "dragonfly");
    assert.deepEqual(await findings(page), [], "what it was not");
    await page.$eval("#compare-matte", (button) => button.click());
    await page.waitForSelector("#compare[open] canvas");
    assert.deepEqual(await findings(page), [], "a layer against its matte");
    await page.keyboard.press("Escape");
    await page.evaluate(() => (location.hash = "#prompt=a+fox&steps=20&model=https://example.com/fox/&bytes=900000000"));
    await page.waitForSelector("#link[open] dl");
    assert.deepEqual(await findings(page), [], "a link");
    await page.keyboard.press("Escape");
    await page.click("#scenes");
    await page.waitForSelector("#gallery .card img");
    assert.deepEqual(await findings(page), [], "scenes");
    await page.keyboard.press("Escape");
    await page.$eval("#stage", (stage) => stage.focus());
    await page.keyboard.press("?");
    await page.waitForSelector("#shortcuts[open] dt");
    assert.deepEqual(await findings(page), [], "shortcuts");
  });
}
