// A visitor's own checkpoint: packed in the page, kept in the browser's storage, and used.

import { createEngine, type Quantization } from "glassine";
import { models } from "glassine/models";
import { figure, onSubmit, say } from "../page.ts";

onSubmit(async (fields) => {
  const { checkpoint, transparencyDecoder, attn, quantize, prompt, size } =
    Object.fromEntries(fields) as Record<string, any>;

  // #region import
  const model = await models.import(checkpoint as File, {
    quantize: quantize as Quantization,
    transparencyDecoder: transparencyDecoder as File,
    layers: { attn: attn as File },
    onProgress: say,
  });
  // #endregion

  // #region use
  const engine = await createEngine({ model: model.name, onProgress: say });
  const { layers } = await engine.generate({
    prompt,
    width: +size,
    height: +size,
    onProgress: say,
  });
  const png = await layers[0].toBlob();
  await engine.dispose();
  // #endregion
  return [figure(prompt, png, { "picture.png": png })];
});
