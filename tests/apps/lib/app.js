// An app in a folder of its own that has installed the packed package, as a user has it.

import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { packageFolder } from "../../browser/lib/site.js";

const testFolder = fileURLToPath(new URL("../", import.meta.url));
const exampleFolder = fileURLToPath(new URL("../../../examples/", import.meta.url));

/** Makes an app of a page and a script. Gives its folder, and what removes it. */
export function makeApp(page, script, code) {
  const app = makeFolder(tmpdir());
  writeFileSync(join(app.folder, "index.html"), page);
  writeFileSync(join(app.folder, script), code);
  return app;
}

/**
 * Makes a folder of what has these names among the examples. What they depend on but for the package comes from
 * these tests' own modules, in which the folder lies.
 */
export function copyExamples(...names) {
  const app = makeFolder(testFolder);
  for (const name of names) cpSync(join(exampleFolder, name), join(app.folder, name), { recursive: true });
  return app;
}

/** A new folder in another one, with the packed package in its node_modules. */
function makeFolder(parent) {
  const folder = mkdtempSync(join(parent, "glassine-app-"));
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "bare", private: true, type: "module" }));
  const quiet = { cwd: folder, stdio: "ignore" };
  execFileSync("npm", ["pack", "--pack-destination", folder], { ...quiet, cwd: packageFolder });
  const { version } = JSON.parse(readFileSync(join(packageFolder, "package.json"), "utf8"));
  execFileSync("npm", ["install", "--no-audit", "--no-fund", "--no-package-lock", `./glassine-${version}.tgz`], quiet);
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}
