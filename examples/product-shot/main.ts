// A thing on a coloured ground with a shadow below it, as shops show what they sell.

import { createEngine, type Layer, Scene } from "glassine";
import { figure, onSubmit, say } from "../page.ts";

const engine = await createEngine({ model: "mini", onProgress: say });

// #region shot
/** Stands a layer on a ground, with room around it. */
async function stand(layer: Layer, background: string): Promise<Scene> {
  const scene = new Scene(layer.width * 2, layer.height * 1.5, { background });
  const [x, y] = [layer.width / 2, layer.height / 4];
  scene.add(await shadowOf(layer, scene, x, y), {
    name: "shadow",
    blend: "multiply",
    opacity: 0.55,
  });
  scene.add(layer, { name: "product", x, y });
  return scene;
}

/** The shadow of a layer at (x, y): its outline, pressed flat and blurred. */
async function shadowOf(
  layer: Layer,
  { width, height }: Scene,
  x: number,
  y: number,
): Promise<OffscreenCanvas> {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d")!;
  context.shadowColor = "#3a2a20";
  context.shadowBlur = layer.height / 8;
  // The layer is drawn beside the canvas, and only its shadow on it.
  context.shadowOffsetX = width;
  context.drawImage(
    await layer.toImageBitmap(),
    x - width,
    y + layer.height * 0.82,
    layer.width,
    layer.height * 0.24,
  );
  return canvas;
}
// #endregion

onSubmit(async (fields) => {
  const prompt = String(fields.get("prompt"));
  const { layers } = await engine.generate({ prompt, seed: 4, onProgress: say });
  // #region save
  const scene = await stand(layers[0], String(fields.get("backdrop")));
  const shot = await (await scene.flatten()).toBlob();
  const cutOut = await (await scene.flatten({ background: "#00000000" })).toBlob();
  const psd = await scene.toPsd();
  scene.dispose();
  // #endregion
  return [
    figure(prompt, shot, { "shot.png": shot, "shot.psd": psd }),
    figure(`${prompt}, without the ground`, cutOut, { "cut-out.png": cutOut }),
  ];
});
