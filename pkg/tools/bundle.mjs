// Makes each worker one file that imports nothing, so that it works wherever it is copied to; and the package's modules
// one classic script.

import { build } from "esbuild";
import { copyFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const path = (file) => fileURLToPath(new URL(`../${file}`, import.meta.url));
const options = { bundle: true, target: "es2022", legalComments: "none", logLevel: "warning" };

copyFileSync(path("models/mini/manifest.json"), path("dist/mini-manifest.bin"));

const workers = ["compose", "engine", "models"].map((name) => path(`dist/internal/worker/${name}.js`));
await build({ ...options, format: "iife", entryPoints: workers, outdir: path("dist/workers") });

await build({
  ...options,
  format: "iife",
  globalName: "glassine",
  stdin: { contents: 'export * from "./index.js"; export { models } from "./models.js";', resolveDir: path("dist") },
  define: { "import.meta.url": "scriptUrl" },
  inject: [path("tools/script-url.js")],
  outfile: path("dist/glassine.global.js"),
});
