import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { defineConfig } from "vite";

/** Writes the service worker beside the page, with a list of what the build has made. */
function offline() {
  return {
    name: "offline",
    apply: "build",
    writeBundle({ dir }) {
      // The page is known by its folder, and only its content tells two versions of it apart.
      const page = readFileSync(join(dir, "index.html"));
      const files = readdirSync(join(dir, "assets")).map((file) => `assets/${file}`);
      const version = createHash("sha256").update(page).update(files.join()).digest("hex").slice(0, 16);
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
  plugins: [offline()],
});
