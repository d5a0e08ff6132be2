// Keeps what the app fetches from its own server. Pages come from the network where
// there is one, so that a new version is seen; files whose names change with their
// content come from what is kept.

const kept = "app-1";

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("fetch", (event) => {
  const { method, mode, url } = event.request;
  if (method !== "GET" || new URL(url).origin !== location.origin) return;
  event.respondWith(
    mode === "navigate" ? networkFirst(event.request) : keptFirst(event.request),
  );
});

async function keptFirst(request) {
  return (await caches.match(request)) ?? fetchAndKeep(request);
}

async function networkFirst(request) {
  return fetchAndKeep(request).catch(async (error) => {
    const page = await caches.match(request, { ignoreSearch: true });
    if (page) return page;
    throw error;
  });
}

async function fetchAndKeep(request) {
  const response = await fetch(request);
  if (response.status === 200)
    await (await caches.open(kept)).put(request, response.clone());
  return response;
}
