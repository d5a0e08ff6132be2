// The engine for an app that is built without the built-in model.

import { serveEngine } from "./serve-engine.js";

serveEngine();
