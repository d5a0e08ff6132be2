import { GlassineError } from "../public/errors.js";

/** Fetches a WebAssembly module of the package, in the worker that runs it. */
export async function fetchModule(url: URL): Promise<Response> {
  const hint = "The package's .wasm files must be served beside its workers: see \"Bundlers\" in the README.";
  let response: Response;
  try {
    response = await fetch(url);
  } catch (cause) {
    throw new GlassineError("worker_failed", `cannot fetch the engine from ${url.href}`, { hint, cause });
  }
  if (!response.ok || response.headers.get("content-type")?.startsWith("text/html")) {
    throw new GlassineError("worker_failed", `there is no engine at ${url.href} (HTTP ${response.status})`, { hint });
  }
  return response;
}
