// Which file imports which: no circles, and no file of one thread in the other.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize, relative } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../src/", import.meta.url));
const files = readdirSync(root, { recursive: true }).filter((file) => file.endsWith(".ts") && !file.startsWith("wasm"));

/** The files that each file imports, types included. */
const imports = new Map(
  files.map((file) => {
    const text = readFileSync(join(root, file), "utf8");
    const specifiers = [...text.matchAll(/(?:from|import|import\()\s*"(\.[^"]+)"/g)].map(([, specifier]) => specifier);
    const targets = specifiers.map((specifier) => normalize(join(dirname(file), specifier)).replace(/\.js$/, ".ts"));
    return [file, targets.filter((target) => files.includes(target))];
  }),
);

test("no files import each other in a circle", () => {
  assert.ok([...imports.values()].flat().length > 50, "imports are found");
  const left = new Map(imports);
  // What imports nothing that is left is taken away, until nothing is.
  for (;;) {
    const free = [...left].filter(([, targets]) => targets.every((target) => !left.has(target)));
    if (free.length === 0) break;
    for (const [file] of free) left.delete(file);
  }
  assert.deepEqual([...left.keys()], []);
});

test("only the engine's worker imports the list of the built-in model's files, which brings its weights into a build", () => {
  const importers = [...imports].filter(([, targets]) => targets.includes("internal/worker/mini-files.ts"));
  assert.deepEqual(importers.map(([file]) => file), ["internal/worker/engine.ts"]);
});

test("page and worker import nothing of each other, and what they share imports neither", () => {
  const threadOf = (file) => /^internal\/(page|worker|shared)\//.exec(file)?.[1];
  const wrong = [...imports].flatMap(([file, targets]) => {
    const thread = threadOf(file);
    if (!thread) return [];
    return targets
      .filter((target) => !["shared", thread, undefined].includes(threadOf(target)))
      .map((target) => `${file} imports ${relative("internal", target)}`);
  });
  assert.deepEqual(wrong, []);
});
