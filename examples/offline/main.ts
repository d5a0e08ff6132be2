// An app that works without a network after one visit.

import { figure, onSubmit, say } from "../page.ts";

// #region keep
// From here on all that the page and its workers fetch comes through the
// service worker, which keeps it.
await navigator.serviceWorker.register("./service-worker.js");
if (!navigator.serviceWorker.controller) {
  await new Promise((resolve) =>
    navigator.serviceWorker.addEventListener("controllerchange", resolve, {
      once: true,
    }),
  );
  // What was here before it.
  const files = performance.getEntriesByType("resource").map(({ name }) => name);
  await Promise.all([location.href, ...files].map((url) => fetch(url)));
}
const { createEngine } = await import("glassine");
// #endregion

onSubmit(async (fields) => {
  const [prompt, model] = [String(fields.get("prompt")), String(fields.get("model"))];
  // #region load
  // A model at a URL is kept in the browser's storage, and comes from there next time.
  const engine = await createEngine({
    model,
    store: { onProgress: say },
    onProgress: say,
  });
  const { layers } = await engine.generate({ prompt, onProgress: say });
  // #endregion
  const png = await layers[0].toBlob();
  await engine.dispose();
  return [figure(prompt, png, { "picture.png": png })];
});
