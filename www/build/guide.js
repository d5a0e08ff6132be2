// The guide: pages of Markdown, whose code is that of the examples, and the examples themselves, to be run from them.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, posix, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { errorCodes } from "glassine";
import { toHtml } from "./markdown.js";
import { renderPage } from "./template.js";

const repository = fileURLToPath(new URL("../../", import.meta.url));
const root = join(repository, "www");

/** The Markdown files of the guide, in the order in which they are read, by section. */
const sections = JSON.parse(readFileSync(join(root, "guide/contents.json"), "utf8"));

/** Where a file of the repository is on the site: only those of the guide are there. */
function addressOf(source) {
  if (source.startsWith("www/guide/")) return source.replace(/^www\//, "").replace(/\.md$/, ".html");
  return `guide/${posix.basename(source, ".md").toLowerCase().replaceAll("_", "-")}.html`;
}

const read = (path, encoding = "utf8") => readFileSync(join(repository, path), encoding);

/** The examples that are built with the other pages. The rest have a build of their own, or none. */
const examples = readdirSync(join(repository, "examples")).filter((name) => {
  const has = (file) => existsSync(join(repository, "examples", name, file));
  return has("main.ts") && !has("package.json");
});

const sources = ["www/guide/index.md", ...sections.flatMap(({ pages }) => pages)];
const addresses = new Map([
  ...sources.map((source) => [source, addressOf(source)]),
  ...examples.map((name) => [`examples/${name}`, `examples/${name}/index.html`]),
  ["pkg/README.md", "reference/index.html"],
  ["www/index.html", "index.html"],
  ["www/bench.html", "bench.html"],
]);

/** Pages of the site by their address, each as a function that gives its HTML, with its scripts and styles at `prefix`. */
const pages = new Map([
  ...sources.map((source) => [addressOf(source), () => guidePage(source)]),
  ...examples.map((name) => [`examples/${name}/index.html`, (prefix) => examplePage(name, prefix)]),
]);

function guidePage(source) {
  const here = addressOf(source);
  /** The address of a file of the repository as seen from this page; none if it is not on the site. */
  const locate = (path) => addresses.has(path) && posix.relative(posix.dirname(here), addresses.get(path));
  const documents = sections.map(({ title, pages }) => ({ title, pages: pages.map((source) => ({ source, href: locate(source), title: titleOf(source) })) }));
  return renderPage({ source, ...toHtml(source, { read, locate, errorCodes }), sections: documents, locate });
}

const titleOf = (source) => /^# (.+)$/m.exec(read(source))[1];

function examplePage(name, prefix) {
  const folder = join(repository, "examples", name);
  return read(`examples/${name}/index.html`).replace(/(src|href)="(\.[^"]+\.(?:ts|css))"/g, (_, attribute, path) => `${attribute}="${prefix}${join(folder, path)}"`);
}

/** What these pages may do: nothing that is not in the folder, but for models by URL, which the examples read. */
const policies = {
  guide: "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'",
  examples:
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src * data: blob:; base-uri 'none'; form-action 'none'",
};

/** The pages' addresses, as the build takes them. */
export const guidePages = [...pages.keys()];

export function guide() {
  return {
    name: "guide",
    resolveId: (id) => (pages.has(id) ? join(root, id) : undefined),
    load(id) {
      const page = pages.get(relative(root, id));
      for (const source of page ? [...sources, "www/guide/contents.json"] : []) this.addWatchFile(join(repository, source));
      return page?.("");
    },
    transformIndexHtml(html, { path, server }) {
      // In development, Vite has a socket and puts style elements into the page.
      const policy = !server && policies[path.split("/")[1]];
      return policy ? [{ tag: "meta", attrs: { "http-equiv": "Content-Security-Policy", content: policy }, injectTo: "head-prepend" }] : [];
    },
    configureServer(server) {
      server.middlewares.use(async (request, response, next) => {
        const path = new URL(request.url, "http://localhost").pathname.slice(1).replace(/(^|\/)$/, "$1index.html");
        const page = pages.get(path);
        if (!page) return next();
        response.setHeader("content-type", "text/html");
        response.end(await server.transformIndexHtml(`/${path}`, page("/@fs")));
      });
    },
  };
}
