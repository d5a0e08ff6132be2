// From a WebAssembly module's URL to its exports, in the worker that runs it.

import { GlassineError } from "../../public/errors.js";

/** Makes a function that starts the module at a URL with what wasm-bindgen made for it: once, unless that fails. */
export function startingOnce<Exports>(
  moduleUrl: () => URL,
  init: (from: { module_or_path: WebAssembly.Module }) => Promise<Exports>,
): () => Promise<Exports> {
  let started: Promise<Exports> | undefined;
  return () => {
    started ??= compile(moduleUrl())
      .then((module) => init({ module_or_path: module }).catch(explain))
      .catch((error: unknown) => {
        started = undefined;
        throw error;
      });
    return started;
  };
}

async function compile(url: URL): Promise<WebAssembly.Module> {
  const response = await fetchModule(url);
  // Servers that know no .wasm files name another type, with which browsers compile nothing as it arrives.
  const known = response.headers.get("content-type")?.split(";")[0]?.trim() === "application/wasm";
  try {
    return await (known ? WebAssembly.compileStreaming(response) : response.arrayBuffer().then((bytes) => WebAssembly.compile(bytes)));
  } catch (cause) {
    throw refused(url, cause);
  }
}

async function fetchModule(url: URL): Promise<Response> {
  const hint =
    'The package\'s .wasm files must be served as they are: see "Bundlers" in the README. A content security policy must ' +
    "have their origin in connect-src, and another origin must allow this page to read them (CORS).";
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

/** The browser's refusal to compile. Only its text says whether the page forbids it. */
function refused(url: URL, cause: unknown): GlassineError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  const forbidden = /content.security.policy|\bCSP\b|unsafe-eval/i.test(reason);
  return new GlassineError("worker_failed", `the browser did not compile ${url.href}: ${reason}`, {
    hint: forbidden
      ? "Add 'wasm-unsafe-eval' to script-src of the page's content security policy, and of what is sent with the package's workers."
      : "Check that the file is whole, and that the browser has WebAssembly with SIMD (checkSupport says so).",
    cause,
  });
}

function explain(cause: unknown): never {
  if (!(cause instanceof RangeError)) throw cause;
  throw new GlassineError("out_of_memory", `there is no memory to start the engine: ${cause.message}`, {
    hint: "Close other pages, and try again.",
    recoverable: true,
    cause,
  });
}
