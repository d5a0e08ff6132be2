// A small web site on localhost: the package under /glassine/, a page that
// imports it, and servers that misbehave in the ways that models meet.

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

const workerFolder = fileURLToPath(new URL("./worker/", import.meta.url));
export const packageFolder = fileURLToPath(new URL("../../../pkg/", import.meta.url));

const packPrefix = "/pack/";
const workerPrefix = "/worker/";

const types = {
  ".css": "text/css",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".json": "application/json",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
};

const page = `<!doctype html><title>glassine</title><script type="module" src="/page.js"></script>`;
const script = `
import * as glassine from "/glassine/dist/index.js";
import { models } from "/glassine/dist/models.js";
Object.assign(window, { glassine, models });
`;

// What the README says a strict page has to allow, and the address that no test server has.
export const readmePolicy = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "worker-src 'self'",
  "connect-src 'self' http://localhost:9",
].join("; ");

/**
 * Serves the package's own test page and, under /pack/, a model's folder or a pack server's files.
 * `before` names the scripts in lib/worker that the package's workers are to run before themselves, each with
 * what it is told after a question mark; it may change while the site is served. `faults` has, by a pattern of
 * paths, what answers in the place of the site; and `policy` is the page's content security policy.
 */
export function serveTests(pack, before = [], { faults = new Map(), policy = readmePolicy } = {}) {
  return serve(async (path, response, request) => {
    response.setHeader("content-security-policy", policy);
    const [, fault] = [...faults].find(([pattern]) => pattern.test(path)) ?? [];
    if (fault) return fault(response);
    if (path === "/") return send(response, 200, "text/html", page);
    if (path === "/page.js") return send(response, 200, "text/javascript", script);
    const worker = path.match(/^\/glassine\/(dist\/internal\/worker\/(?:engine|models)\.js)$/)?.[1];
    if (worker) return sendWorker(response, worker, before);
    if (path.startsWith(workerPrefix)) return sendFile(response, join(workerFolder, path.slice(workerPrefix.length)));
    if (path.startsWith("/glassine/")) return sendFile(response, join(packageFolder, path.slice("/glassine/".length)));
    if (pack && path.startsWith(packPrefix)) return answerPack(pack, path.slice(packPrefix.length), request, response);
    // Answers everything with its start page, as single-page applications do.
    if (path.startsWith("/start-page/")) return send(response, 200, "text/html", page);
    // The built-in model with one bit of one shard changed.
    if (path.startsWith("/damaged/")) return sendDamaged(response, path.slice("/damaged/".length));
    send(response, 404, "text/plain", "not found");
  });
}

/** Serves an empty page and folders, each under the path that it is given by, with these headers. */
export function serveFolders(folders, headers = {}) {
  return serve((path, response) => {
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    const [prefix, folder] = Object.entries(folders).find(([prefix]) => path.startsWith(prefix)) ?? [];
    if (folder) return sendFile(response, join(folder, path.slice(prefix.length)));
    return send(response, path === "/" ? 200 : 404, "text/html", `<!doctype html><title>benchmark</title><link rel="icon" href="data:," />`);
  });
}

/** Serves a folder, these paths excepted, and, like `serveTests`, a model. */
export function serveFolder(folder, pack, { except = [] } = {}) {
  return serve((path, response, request) => {
    if (except.includes(path)) return send(response, 404, "text/plain", "not found");
    if (pack && path.startsWith(packPrefix)) return answerPack(pack, path.slice(packPrefix.length), request, response);
    return sendFile(response, join(folder, path.endsWith("/") ? `${path}index.html` : path));
  });
}

let sites = 0;

/** Each site has a host of its own: browsers store for a host, and a port may come again. */
async function serve(answer) {
  const server = createServer((request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url, "http://localhost").pathname));
    Promise.resolve(answer(path, response, request)).catch(() => send(response, 404, "text/plain", "not found"));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://site-${++sites}.localhost:${server.address().port}/`,
    close: () => new Promise((resolve) => server.close(resolve).closeAllConnections()),
  };
}

/** `pack` is a model's folder or a pack server. */
function answerPack(pack, file, request, response) {
  return typeof pack === "string" ? sendFile(response, join(pack, file)) : pack.answer(file, request, response);
}

async function sendFile(response, file) {
  send(response, 200, types[extname(file)] ?? "application/octet-stream", await readFile(file));
}

async function sendWorker(response, file, before) {
  const imports = before.map((name) => `import "${workerPrefix}${name.replace(/(?=\?|$)/, ".js")}";\n`).join("");
  send(response, 200, types[".js"], imports + (await readFile(join(packageFolder, file), "utf8")));
}

async function sendDamaged(response, name) {
  const bytes = await readFile(join(packageFolder, "models/mini", name));
  if (name.endsWith(".safetensors")) bytes[bytes.length - 1] ^= 1;
  send(response, 200, types[extname(name)] ?? "application/octet-stream", bytes);
}

function send(response, status, type, body) {
  response.writeHead(status, { "content-type": type, "content-length": Buffer.byteLength(body) });
  response.end(body);
}
