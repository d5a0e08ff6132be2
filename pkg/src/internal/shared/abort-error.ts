import { GlassineError } from "../../public/errors.js";

/** The error of a request whose signal fired. */
export function abortError(reason: unknown): GlassineError {
  const why = reason instanceof Error && reason.name !== "AbortError" ? `: ${reason.message}` : "";
  return new GlassineError("aborted", `the request was aborted${why}`, { recoverable: true, cause: reason });
}
