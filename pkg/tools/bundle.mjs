// Makes each worker one file that imports nothing, so that it works wherever it is copied to; and the package's modules
// one classic script.

import { build } from "esbuild";
import { copyFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const path = (file) => fileURLToPath(new URL(`../${file}`, import.meta.url));
const options = { bundle: true, target: "es2022", legalComments: "none", logLevel: "warning" };

copyFileSync(path("models/mini/manifest.json"), path("dist/mini-manifest.bin"));

// In place of the modules that they begin with. They stay modules, so that bundlers find the files that they name; but
// what they declare is a function's, since Parcel puts names of its own beside it.
const workers = ["compose", "engine", "engine-without-mini", "models"].map((name) => path(`dist/internal/worker/${name}.js`));
await build({
  ...options,
  format: "esm",
  entryPoints: workers,
  outdir: path("dist/internal/worker"),
  allowOverwrite: true,
  banner: { js: "(() => {" },
  footer: { js: "})();" },
});

await build({
  ...options,
  format: "iife",
  globalName: "glassine",
  stdin: { contents: 'export * from "./index.js"; export { models } from "./models.js";', resolveDir: path("dist") },
  define: { "import.meta.url": "scriptUrl" },
  inject: [path("tools/script-url.js")],
  outfile: path("dist/glassine.global.js"),
});
