// The examples, run as a visitor does.

import { seldom } from "./demo.js";

/**
 * Opens an example, has it run once with these values and files in its form, and gives the pictures that it then shows:
 * `{ alt, width, height, alphas, png }`, where `alphas` are the values of alpha that occur, in order.
 */
export async function runExample(page, url, { values = {}, files = {} } = {}) {
  await page.goto(url);
  if (await page.$("form")) {
    await page.waitForSelector("form button:not(:disabled)");
    for (const [name, value] of Object.entries(values)) {
      await page.$eval(`form [name="${name}"]`, (control, value) => (control.value = value), value);
    }
    for (const [name, path] of Object.entries(files)) await (await page.$(`form [name="${name}"]`)).uploadFile(path);
    await page.click("form button");
    const ended = await page.waitForFunction(() => {
      const { textContent } = document.querySelector("[role=status]");
      return document.querySelector("form button:not(:disabled)") && textContent !== "Ready" && textContent;
    }, seldom);
    const status = await ended.jsonValue();
    if (status !== "Done") throw new Error(status);
  }
  return shownPictures(page);
}

/** The pictures that an example shows, when there are any. */
export async function shownPictures(page) {
  await page.waitForSelector("#result :is(img, canvas)");
  const pictures = await page.evaluate(() =>
    Promise.all(
      [...document.querySelectorAll("#result :is(img, canvas)")].map(async (element) => {
        if (element instanceof HTMLImageElement) await element.decode();
        const { naturalWidth: width = element.width, naturalHeight: height = element.height } = element;
        const context = new OffscreenCanvas(width, height).getContext("2d");
        context.drawImage(element, 0, 0);
        const { data } = context.getImageData(0, 0, width, height);
        const alphas = [...new Set(data.filter((_, index) => index % 4 === 3))].sort((a, b) => a - b);
        const url = element.src?.startsWith("blob:") ? await toDataUrl(await (await fetch(element.src)).blob()) : (element.src ?? element.toDataURL());
        return { alt: element.alt ?? element.ariaLabel ?? "", width, height, alphas, url };

        function toDataUrl(blob) {
          return new Promise((resolve) => {
            const reader = new FileReader();
            reader.onload = () => resolve(reader.result);
            reader.readAsDataURL(blob);
          });
        }
      }),
    ),
  );
  return pictures.map(({ url, ...picture }) => ({ ...picture, png: Buffer.from(url.split(",")[1], "base64") }));
}
