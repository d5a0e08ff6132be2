// An app in a folder of its own that has installed the packed package, as a user has it.

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { packageFolder } from "./site.js";

/** Makes an app of a page and a script. Gives its folder, and what removes it. */
export function makeApp(page, script, code) {
  const folder = mkdtempSync(join(tmpdir(), "glassine-app-"));
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "bare", private: true, type: "module" }));
  writeFileSync(join(folder, "index.html"), page);
  writeFileSync(join(folder, script), code);

  const quiet = { cwd: folder, stdio: "ignore" };
  execFileSync("npm", ["pack", "--pack-destination", folder], { ...quiet, cwd: packageFolder });
  const { version } = JSON.parse(readFileSync(join(packageFolder, "package.json"), "utf8"));
  execFileSync("npm", ["install", "--no-audit", "--no-fund", `./glassine-${version}.tgz`], quiet);
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}
