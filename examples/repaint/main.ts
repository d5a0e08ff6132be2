// A part of a picture made anew: what the mask keeps stays as it is, bit for bit.

import { createEngine } from "glassine";
import { figure, onSubmit, say } from "../page.ts";

const engine = await createEngine({ model: "mini", onProgress: say });

// #region mask
/** A mask that repaints a disc in the lower half and keeps the rest. */
function discMask(width: number, height: number): OffscreenCanvas {
  const mask = new OffscreenCanvas(width, height);
  const context = mask.getContext("2d")!;
  context.fillStyle = "black"; // stays
  context.fillRect(0, 0, width, height);
  context.fillStyle = "white"; // is made anew
  context.beginPath();
  context.arc(width / 2, height * 0.62, width * 0.27, 0, 2 * Math.PI);
  context.fill();
  return mask;
}
// #endregion

onSubmit(async (fields) => {
  const [prompt, instead, seed] = [
    String(fields.get("prompt")),
    String(fields.get("instead")),
    Number(fields.get("seed")),
  ];
  // #region repaint
  const {
    layers: [picture],
  } = await engine.generate({ prompt, seed: 7, onProgress: say });
  const {
    layers: [repainted],
  } = await engine.generate({
    prompt: instead,
    seed,
    init: picture,
    mask: discMask(picture.width, picture.height),
    maskSoftness: 4, // a soft edge, 4 pixels wide, inside of the mask
    onProgress: say,
  });
  // #endregion
  const png = await repainted.toBlob();
  return [
    figure(prompt, await picture.toBlob()),
    figure(`${prompt}, repainted: ${instead}`, png, { "repainted.png": png }),
  ];
});
