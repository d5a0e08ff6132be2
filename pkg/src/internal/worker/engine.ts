import { GlassineError } from "../../public/errors.js";
import { miniFiles } from "./mini-files.js";
import { serveEngine } from "./serve-engine.js";

serveEngine((path) => {
  const url = miniFiles()[path];
  if (url) return url;
  throw new GlassineError("model_not_found", `the built-in model has no file ${path}`, {
    hint: "Install the package again: its model is not complete.",
  });
});
