// Files over HTTP. Every failure is a `GlassineError`; those that may pass are
// `recoverable`.

import { GlassineError } from "../../public/errors.js";

/** Milliseconds to wait before each further attempt. */
const delays = [500, 1000, 2000, 4000];

/** Makes an attempt again, a few times, as long as it fails with what may pass. */
export async function retry<T>(attempt: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (const delay of delays) {
    try {
      return await attempt();
    } catch (error) {
      if (signal.aborted || !(error instanceof GlassineError && error.recoverable)) throw error;
    }
    // Many visitors who lost the same server must not come back at the same moment.
    await pause(delay * (0.5 + Math.random()), signal);
  }
  return attempt();
}

/** Fetches a whole file, a model's unless it is another. */
export async function fetchBytes(url: URL, options: RequestInit, what: Wanted = "model file"): Promise<Uint8Array<ArrayBuffer>> {
  const response = await request(url, options, what);
  try {
    return new Uint8Array(await response.arrayBuffer());
  } catch (cause) {
    throw networkError(url, cause);
  }
}

/** What is fetched, as messages call it. */
type Wanted = "model file" | "file";

/** Fetches the beginning of an answer, which must be a file. */
export async function request(url: URL, options: RequestInit, what: Wanted = "model file"): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, options);
  } catch (cause) {
    throw networkError(url, cause);
  }
  if (!response.ok) throw httpError(url, response.status, what);
  // Many servers answer a path that they do not know with their start page.
  if (response.headers.get("content-type")?.startsWith("text/html")) {
    throw new GlassineError("model_not_found", `there is no ${what} at ${url.href}: the server answered with a web page`, {
      hint: notFoundHints[what],
    });
  }
  return response;
}

const notFoundHints: Record<Wanted, string> = {
  "model file": 'Check the URL: it must be that of a folder with a manifest.json. The model in this package is "mini".',
  file: "Check the URL.",
};

function httpError(url: URL, status: number, what: Wanted): GlassineError {
  if (status === 404 || status === 410) {
    return new GlassineError("model_not_found", `there is no ${what} at ${url.href} (HTTP ${status})`, {
      hint: notFoundHints[what],
    });
  }
  return new GlassineError("network", `${url.href} was refused (HTTP ${status})`, {
    hint: status >= 500 ? "The server has a fault: try again later." : "Check that this page may read the file.",
    recoverable: status >= 500 || status === 429,
  });
}

/** What a failed transfer is reported as. */
export function networkError(url: URL, cause: unknown): GlassineError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new GlassineError("network", `cannot fetch ${url.href}: ${reason}`, {
    hint: "Check the connection and, for another origin, that it allows this page to read it (CORS).",
    recoverable: true,
    cause,
  });
}

/** Waits; rejects with the signal's reason as soon as it fires. */
function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", abort);
      resolve();
    }, milliseconds);
    if (signal.aborted) abort();
    else signal.addEventListener("abort", abort, { once: true });
  });
}
