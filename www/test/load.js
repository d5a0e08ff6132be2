// The page's own modules in Node: those of src/state need no browser.

import { after } from "node:test";
import { fileURLToPath } from "node:url";
import { createServer } from "vite";

const server = await createServer({
  root: fileURLToPath(new URL("..", import.meta.url)),
  configFile: false,
  logLevel: "error",
  appType: "custom",
  server: { middlewareMode: true, ws: false, watch: null },
});
after(() => server.close());

/** Loads a module by its path in src. */
export const load = (path) => server.ssrLoadModule(`/src/${path}`);
