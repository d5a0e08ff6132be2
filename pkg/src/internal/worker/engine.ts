// The worker that holds an engine.

import { serveEngine } from "./serve-engine.js";

serveEngine();
