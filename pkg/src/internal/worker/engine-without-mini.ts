// The engine for an app that is built without the built-in model.

import { GlassineError } from "../../public/errors.js";
import { serveEngine } from "./serve-engine.js";

serveEngine(() => {
  throw new GlassineError("model_not_found", 'the model "mini" is not part of "glassine/engine"', {
    hint: 'Import createEngine from "glassine", or give another model.',
  });
});
