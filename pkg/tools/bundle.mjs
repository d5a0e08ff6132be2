// Makes each worker one file that imports nothing, so that it works wherever it is copied to, and the classic script.

import { build } from "esbuild";
import { fileURLToPath } from "node:url";

const path = (file) => fileURLToPath(new URL(`../dist/${file}`, import.meta.url));
const options = { bundle: true, format: "iife", target: "es2022", legalComments: "none", logLevel: "warning" };

const workers = ["compose", "engine", "models"].map((name) => path(`internal/worker/${name}.js`));
await build({ ...options, entryPoints: workers, outdir: path("workers") });
