interface TrustedTypes {
  createPolicy(name: string, rules: { createScriptURL(url: string): string }): { createScriptURL(url: string): string };
}

/**
 * Keeps the page's files for visits without a network. What has been fetched
 * already comes out of the browser's cache: call it when the model is loaded.
 */
export function keepForOffline(): void {
  if (!import.meta.env.PROD) return;
  const { trustedTypes } = globalThis as { trustedTypes?: TrustedTypes };
  const policy = trustedTypes?.createPolicy("glassine-page", { createScriptURL: (url) => url });
  const url = "./service-worker.js";
  // Without it, for example in a private window, the page works as long as there is a network.
  navigator.serviceWorker?.register(policy?.createScriptURL(url) ?? url).catch(console.warn);
}
