/**
 * Keeps the page's files for visits without a network. What has been fetched
 * already comes out of the browser's cache: call it when the model is loaded.
 */
export function keepForOffline(): void {
  if (!import.meta.env.PROD) return;
  // Without it, for example in a private window, the page works as long as there is a network.
  navigator.serviceWorker?.register("./service-worker.js").catch(console.warn);
}
