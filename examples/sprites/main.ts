// A sheet of sprites with the JSON that game engines read beside it, and a level that is drawn from it.

import { createEngine, Scene } from "glassine";
import { figure, onSubmit, say } from "../page.ts";

const engine = await createEngine({ model: "mini", onProgress: say });

// #region sheet
/** Makes a sprite of each prompt, in one picture and TexturePacker's "JSON (Hash)". */
async function makeSheet(prompts: string[], size = 128) {
  const columns = Math.ceil(Math.sqrt(prompts.length));
  const rows = Math.ceil(prompts.length / columns);
  const sheet = new Scene(columns * size, rows * size);
  const frames: Record<string, object> = {};
  for (const [index, prompt] of prompts.entries()) {
    const { layers } = await engine.generate({
      prompt,
      seed: index,
      width: size,
      height: size,
      onProgress: say,
    });
    const x = (index % columns) * size;
    const y = Math.floor(index / columns) * size;
    sheet.add(layers[0], { name: prompt, x, y });
    frames[prompt] = {
      frame: { x, y, w: size, h: size },
      rotated: false,
      trimmed: false,
      sourceSize: { w: size, h: size },
    };
  }
  const picture = await sheet.flatten();
  sheet.dispose();
  const meta = {
    image: "sprites.png",
    format: "RGBA8888",
    size: { w: picture.width, h: picture.height },
    scale: 1,
  };
  return { picture, frames, json: JSON.stringify({ frames, meta }, null, 2) };
}
// #endregion

// #region draw
/** Draws each frame of a sheet somewhere on a canvas. */
async function drawLevel(sheet: Blob, frames: Record<string, any>) {
  const bitmap = await createImageBitmap(sheet);
  const canvas = Object.assign(document.createElement("canvas"), {
    width: 480,
    height: 160,
  });
  const context = canvas.getContext("2d")!;
  Object.values(frames).forEach(({ frame: { x, y, w, h } }, index, { length }) => {
    const left = (480 / length) * index;
    const top = 40 + 30 * Math.sin(2 * index);
    context.drawImage(bitmap, x, y, w, h, left, top, w, h);
  });
  return canvas;
}
// #endregion

onSubmit(async (fields) => {
  const prompts = String(fields.get("prompts"))
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean);
  const { picture, frames, json } = await makeSheet(prompts);
  const png = await picture.toBlob();
  const level = await drawLevel(png, frames);
  return [
    level,
    figure("The sheet", png, {
      "sprites.png": png,
      "sprites.json": new Blob([json]),
    }),
  ];
});
