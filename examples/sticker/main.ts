// A picture with a white edge around its outline, as stickers are cut.

import { createEngine, type Layer, Scene } from "glassine";
import { figure, onSubmit, say } from "../page.ts";

const engine = await createEngine({ model: "mini", onProgress: say });

// #region sticker
/** Puts a layer on a white edge, so many pixels wide, that follows its outline. */
async function makeSticker(layer: Layer, edge = 3): Promise<Blob> {
  const outline = new OffscreenCanvas(
    layer.width + 2 * edge,
    layer.height + 2 * edge,
  );
  const context = outline.getContext("2d")!;
  // What is fainter than half is no part of the outline.
  const { data, width, height } = layer.imageData;
  const solid = data.map((value, at) =>
    at % 4 < 3 ? value : value < 128 ? 0 : 255,
  );
  const bitmap = await createImageBitmap(new ImageData(solid, width, height));
  for (let angle = 0; angle < 2 * Math.PI; angle += Math.PI / 16) {
    context.drawImage(
      bitmap,
      edge + edge * Math.cos(angle),
      edge + edge * Math.sin(angle),
    );
  }
  // What has been drawn keeps its shape and becomes white.
  context.globalCompositeOperation = "source-in";
  context.fillStyle = "white";
  context.fillRect(0, 0, outline.width, outline.height);

  const sticker = new Scene(outline.width, outline.height);
  sticker.add(outline, { name: "edge" });
  sticker.add(layer, { name: "picture", x: edge, y: edge });
  const png = await (await sticker.flatten()).toBlob();
  sticker.dispose();
  return png;
}
// #endregion

onSubmit(async (fields) => {
  const prompt = String(fields.get("prompt"));
  const { layers } = await engine.generate({ prompt, onProgress: say });
  const png = await makeSticker(layers[0]);
  return [figure(prompt, png, { "sticker.png": png })];
});
