// The worker that holds an engine.

import { setMini } from "./assets.js";
import { miniFiles } from "./mini-files.js";
import { serveEngine } from "./serve-engine.js";

setMini(miniFiles);
serveEngine();
