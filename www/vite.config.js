import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { defineConfig } from "vite";
import { guide, guidePages } from "./build/guide.js";

const pages = ["index.html", "bench.html", ...guidePages];
/** The files beside the page. The reference, a folder there, is not kept for offline use. */
const beside = readdirSync(new URL("public", import.meta.url), { withFileTypes: true }).filter((entry) => entry.isFile());
/** What keeps its name from version to version, unlike what is in the folder of assets. */
const named = [...pages, ...beside.map(({ name }) => name), "licences.txt"];

/** Writes the service worker beside the page, with a list of what the build has made. */
function offline() {
  return {
    name: "offline",
    apply: "build",
    writeBundle({ dir }) {
      // Only their content tells two versions of these apart.
      const hash = createHash("sha256");
      for (const file of named) hash.update(readFileSync(join(dir, file)));
      const files = readdirSync(join(dir, "assets")).map((file) => `assets/${file}`);
      const version = hash.update(files.join()).digest("hex").slice(0, 16);
      const values = Object.entries({ version, pages: named, files }).map(([name, value]) => `const ${name} = ${JSON.stringify(value, null, 2)};\n`).join("");
      const code = readFileSync(new URL("service-worker.js", import.meta.url), "utf8");
      writeFileSync(join(dir, "service-worker.js"), values + code);
    },
  };
}

/** Writes down the licences of the packages that the build has taken something of, and Glassine's own notices. */
function licences() {
  return {
    name: "licences",
    apply: "build",
    generateBundle(_, bundle) {
      const modules = Object.values(bundle).flatMap((chunk) => (chunk.type === "chunk" ? chunk.moduleIds : []));
      const folders = new Set(modules.flatMap((id) => /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/.exec(id.replace(/^\0/, "")) ?? []));
      const texts = [...folders].sort().map((folder) => {
        const { name, version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
        const file = readdirSync(folder).find((file) => /^(licen[cs]e|copying)/i.test(file));
        const text = file ? readFileSync(join(folder, file), "utf8") : sharedLicence(folder);
        return `${name} ${version} (${license})\n\n${text.trim()}\n`;
      });
      const own = ["NOTICE", "LICENSE-MIT"].map((file) => readFileSync(new URL(`../${file}`, import.meta.url), "utf8").trim());
      this.emitFile({ type: "asset", fileName: "licences.txt", source: [...own, ...texts].join(`\n\n${"-".repeat(72)}\n\n`) });
    },
  };
}

/** Packages of one project have its licence in one of them. */
function sharedLicence(folder) {
  const found = readdirSync(join(folder, ".."))
    .map((name) => join(folder, "..", name, "LICENSE"))
    .find((file) => folder.includes("/node_modules/@") && existsSync(file));
  if (!found) throw new Error(`${folder} has no licence text`);
  return readFileSync(found, "utf8");
}

/** In development, Vite has a socket, and puts style elements and scripts of its own into the page. */
function developmentPolicy() {
  return {
    name: "development-policy",
    apply: "serve",
    transformIndexHtml: (html) =>
      html.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'").replace(/; require-trusted-types-for.*?(?=")/, "").replace("connect-src *", "connect-src * ws:"),
  };
}

export default defineConfig({
  // The page works from any folder of a server.
  base: "./",
  // The package and the examples are beside this folder, not in it.
  server: { fs: { allow: [".", "../pkg", "../examples"] } },
  resolve: { dedupe: ["glassine"] },
  build: { modulePreload: { polyfill: false }, rollupOptions: { input: pages } },
  plugins: [guide(), licences(), offline(), developmentPolicy()],
});
