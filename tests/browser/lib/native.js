// The command line, which computes what the browser has to agree with.

import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";

/** Runs `glassine` with these arguments; fails with what it printed. */
export function glassine(...args) {
  const cache = process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache");
  const target = process.env.CARGO_TARGET_DIR ?? join(cache, "glassine/target");
  const binary = join(target, "release/glassine");
  if (!existsSync(binary)) throw new Error(`there is no ${binary}: build it with cargo build --release`);
  execFileSync(binary, args, { stdio: ["ignore", "ignore", "pipe"] });
}

/** A folder that is there for the length of one test, or of a file of them. */
export function scratch(t) {
  const folder = mkdtempSync(join(tmpdir(), "glassine-test-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
