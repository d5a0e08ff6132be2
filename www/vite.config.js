import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { defineConfig } from "vite";

const pages = ["index.html", "bench.html"];

/** Writes the service worker beside the page, with a list of what the build has made. */
function offline() {
  return {
    name: "offline",
    apply: "build",
    writeBundle({ dir }) {
      // Pages keep their names, and only their content tells two versions of them apart.
      const hash = createHash("sha256");
      for (const page of pages) hash.update(readFileSync(join(dir, page)));
      const files = readdirSync(join(dir, "assets")).map((file) => `assets/${file}`);
      const version = hash.update(files.join()).digest("hex").slice(0, 16);
      const values = `const version = ${JSON.stringify(version)};\nconst files = ${JSON.stringify(files, null, 2)};\n`;
      const code = readFileSync(new URL("service-worker.js", import.meta.url), "utf8");
      writeFileSync(join(dir, "service-worker.js"), values + code);
    },
  };
}

export default defineConfig({
  // The page works from any folder of a server.
  base: "./",
  // The package is beside this folder, not in it.
  server: { fs: { allow: [".", "../pkg"] } },
  build: { rollupOptions: { input: pages } },
  plugins: [offline()],
});
