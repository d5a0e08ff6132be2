// A visitor's own checkpoint: packed in the page, kept in the browser's storage, and used.

import { createEngine, type Quantization } from "glassine";
import { models } from "glassine/models";
import { figure, onSubmit, say } from "../page.ts";

type Fields = {
  checkpoint: File;
  transparencyDecoder: File;
  attn: File;
  quantize: Quantization;
  prompt: string;
  size: string;
};

onSubmit(async (fields) => {
  const { checkpoint, transparencyDecoder, attn, quantize, prompt, size } =
    Object.fromEntries(fields) as unknown as Fields;

  // #region import
  const model = await models.import(checkpoint, {
    quantize,
    transparencyDecoder,
    layers: { attn },
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
