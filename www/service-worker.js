// Keeps the page's files, with the engine and the built-in model among them, so
// that the page works without a network. The build puts the values of `version`
// and `files` in front of this.
/* global version, files */

const name = `glassine-${version}`;
const absolute = (path) => new URL(path, self.location).href;
const pages = new Set(["./", "bench.html"].map(absolute));
const urls = new Set([...pages, ...files.map(absolute)]);

self.addEventListener("install", (event) => event.waitUntil(keep()));
self.addEventListener("activate", (event) => event.waitUntil(dropEarlier()));
self.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  url.search = url.hash = "";
  // Models that are imported by URL are kept elsewhere.
  if (event.request.method === "GET" && urls.has(url.href)) event.respondWith(answer(event.request, url.href));
});

/** Fetches every file, except those that an earlier version has: their names change with their content. */
async function keep() {
  const cache = await caches.open(name);
  const add = async (url) => {
    const kept = pages.has(url) ? undefined : await caches.match(url);
    await (kept ? cache.put(url, kept) : cache.add(new Request(url, { cache: "no-cache" })));
  };
  await Promise.all([...urls].map(add));
}

async function dropEarlier() {
  const earlier = (await caches.keys()).filter((key) => key.startsWith("glassine-") && key !== name);
  await Promise.all(earlier.map((key) => caches.delete(key)));
}

/** The pages themselves come from the network where there is one, so that a new version is seen at once. */
async function answer(request, url) {
  const cache = await caches.open(name);
  if (pages.has(url)) return fetch(request).catch(() => cache.match(url));
  return (await cache.match(url)) ?? fetch(request);
}
