import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { defineConfig } from "vite";
import { guide, guidePages } from "./build/guide.js";

const pages = ["index.html", "bench.html", ...guidePages];

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
      const values = Object.entries({ version, pages, files }).map(([name, value]) => `const ${name} = ${JSON.stringify(value, null, 2)};\n`).join("");
      const code = readFileSync(new URL("service-worker.js", import.meta.url), "utf8");
      writeFileSync(join(dir, "service-worker.js"), values + code);
    },
  };
}

export default defineConfig({
  // The page works from any folder of a server.
  base: "./",
  // The package and the examples are beside this folder, not in it.
  server: { fs: { allow: [".", "../pkg", "../examples"] } },
  resolve: { dedupe: ["glassine"] },
  build: { modulePreload: { polyfill: false }, rollupOptions: { input: pages } },
  plugins: [guide(), offline()],
});
