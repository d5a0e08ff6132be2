// A picture of twice the size: enlarged with its alpha, and given detail by a second pass.

import { createEngine } from "glassine";
import { figure, onSubmit, say } from "../page.ts";

const engine = await createEngine({ model: "mini", onProgress: say });

onSubmit(async (fields) => {
  const prompt = String(fields.get("prompt"));
  const strength = Number(fields.get("strength"));
  // #region hires
  const { layers, warnings } = await engine.generate({
    prompt,
    seed: 4,
    hires: { scale: 2, strength }, // 0.5 if the strength is left out
    onProgress: say,
  });
  // #endregion
  const png = await layers[0].toBlob();
  return [figure([prompt, ...warnings].join(". "), png, { "large.png": png })];
});
