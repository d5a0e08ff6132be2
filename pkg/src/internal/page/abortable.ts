import { abortError } from "../shared/abort-error.js";

/** A signal that does not fire. */
export function never(): AbortSignal {
  return new AbortController().signal;
}

/** Gives every failure after an abort the error that the caller expects. */
export async function abortable<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  return promise.catch((error: unknown) => {
    throw signal.aborted ? abortError(signal.reason) : error;
  });
}
