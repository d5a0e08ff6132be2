import { createEngine } from "glassine";

// #region three-lines
const engine = await createEngine({ model: "mini" });
const { layers } = await engine.generate({ prompt: "a red apple" });
const png = await layers[0].toBlob();
// #endregion

// #region show
const image = Object.assign(new Image(), {
  alt: "A red apple",
  src: URL.createObjectURL(png),
});
document.querySelector("main")!.append(image);
// #endregion
