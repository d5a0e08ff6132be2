// Keeps the page's files, with the engine and the built-in model among them, so
// that the page works without a network, and the guide with it. The build puts the
// values of `version`, `pages` (with all else that keeps its name) and `files` in front of this.
/* global version, pages, files */

const prefix = "glassine-";
const name = `${prefix}${version}`;
/** Milliseconds after which a page that is kept does not wait for the network any longer. */
const patience = 4000;
const absolute = (path) => new URL(path, self.location).href;
/** A folder's page has the folder's address. */
const pageUrls = new Set(pages.map((path) => absolute(`./${path}`.replace(/(^|\/)index\.html$/, "$1"))));
const urls = new Set([...pageUrls, ...files.map(absolute)]);

self.addEventListener("install", (event) => event.waitUntil(keep()));
self.addEventListener("activate", (event) => event.waitUntil(dropEarlier()));
self.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  url.search = url.hash = "";
  url.pathname = url.pathname.replace(/\/index\.html$/, "/");
  // Models that are imported by URL are kept elsewhere.
  if (event.request.method === "GET" && urls.has(url.href)) event.respondWith(answer(event.request, url.href));
});

/** Fetches every file, except those that an earlier version has: their names change with their content. */
async function keep() {
  const cache = await caches.open(name);
  const earlier = await Promise.all((await ownCaches()).map((key) => caches.open(key)));
  const add = async (url) => {
    const kept = pageUrls.has(url) ? undefined : (await Promise.all(earlier.map((cache) => cache.match(url)))).find(Boolean);
    await cache.put(url, kept ?? (await fetchFile(url)));
  };
  await Promise.all([...urls].map(add));
}

/** Some servers have a folder's page under its file's name alone. */
async function fetchFile(url) {
  const paths = url.endsWith("/") ? [url, `${url}index.html`] : [url];
  for (const path of paths) {
    const response = await fetch(path, { cache: "no-cache" });
    if (response.ok) return response;
  }
  throw new Error(`${url} cannot be kept`);
}

async function dropEarlier() {
  const earlier = (await ownCaches()).filter((key) => key !== name);
  await Promise.all(earlier.map((key) => caches.delete(key)));
}

/** The caches of this page's versions: others of the origin have theirs. */
async function ownCaches() {
  return (await caches.keys()).filter((key) => key.startsWith(prefix));
}

/**
 * The pages themselves come from the network where it gives them soon, so that a new version is seen at once; else, and
 * where the server has a fault, the one that is kept.
 */
async function answer(request, url) {
  const cache = await caches.open(name);
  const kept = await cache.match(url);
  if (!pageUrls.has(url)) return kept ?? fetch(request);
  if (!kept) return fetch(request);
  const late = new Promise((resolve) => setTimeout(resolve, patience, kept));
  const fresh = fetch(request).then((response) => (response.ok ? response : kept));
  return Promise.race([fresh.catch(() => kept), late]);
}
