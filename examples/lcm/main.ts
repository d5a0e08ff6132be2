// A LoRA of the kind LCM merged into a checkpoint, which then makes a picture in four steps.

import { createEngine } from "glassine";
import { models } from "glassine/models";
import { figure, onSubmit, say } from "../page.ts";

onSubmit(async (fields) => {
  const { checkpoint, lcm, transparencyDecoder, attn, prompt, size } =
    Object.fromEntries(fields) as Record<string, any>;

  // #region import
  const model = await models.import(checkpoint as File, {
    transparencyDecoder: transparencyDecoder as File,
    layers: { attn: attn as File },
    loras: [{ file: lcm as File }],
    defaults: { steps: 4, guidance: 1, sampler: "lcm" },
    onProgress: say,
  });
  // #endregion

  // #region use
  const engine = await createEngine({ model: model.name, onProgress: say });
  const { layers, timings } = await engine.generate({
    prompt,
    width: +size,
    height: +size,
    onProgress: say,
  });
  // #endregion
  const png = await layers[0].toBlob();
  const { steps } = engine.info.defaults;
  await engine.dispose();
  const seconds = Math.round(
    Object.values(timings).reduce((sum, ms) => sum + ms, 0) / 1000,
  );
  return [
    figure(`${prompt}, in ${steps} steps and ${seconds} s`, png, {
      "picture.png": png,
    }),
  ];
});
