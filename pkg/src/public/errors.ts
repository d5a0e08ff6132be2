import type { EngineErrorCode } from "./generated.js";
import type { Latent } from "./types.js";

/**
 * Every code that a {@link GlassineError} can carry, with what it means. The
 * list only ever grows.
 */
export const errorCodes = Object.freeze({
  aborted: "The request's AbortSignal fired. The error's `name` is \"AbortError\".",
  bad_option: "An option is missing, of the wrong type, out of range or unknown.",
  bad_image: "An image could not be read, or has a size that cannot be used.",
  unsupported_mode: "The model lacks a part that this mode needs.",
  model_not_found: "There is no model at the place that was given.",
  model_damaged: "A file of the model is not what its manifest says it is.",
  model_unsupported: "The model is intact, but of a kind that this version cannot run.",
  io: "Reading or storing a file of the model failed.",
  network: "Fetching a file failed: no connection, a refused request or an HTTP error.",
  quota_exceeded: "The browser grants less storage than the model needs.",
  storage_unavailable: "The browser stores no models for this page.",
  device_unavailable: "The device that was asked for does not exist here.",
  device_lost: "The GPU was lost during the request. The next request starts anew.",
  out_of_memory: "There is not enough memory for the model or the picture size.",
  non_finite: "The computation gave values that are not numbers.",
  worker_failed: "The package's worker could not be started.",
  disposed: "The engine was disposed.",
  internal: "The engine stopped at a fault of its own. The next request starts anew.",
} satisfies Record<EngineErrorCode | PageErrorCode, string>);

/** The codes of what fails around the engine. */
type PageErrorCode = "storage_unavailable" | "worker_failed" | "disposed";

/** One of the keys of {@link errorCodes}. */
export type GlassineErrorCode = keyof typeof errorCodes;

/** What a {@link GlassineError} is made of, apart from its code and message. */
export interface GlassineErrorDetails {
  /** What to do about it, for people; empty if left out. */
  hint?: string | undefined;
  /** Whether the same call can succeed if it is made again; false if left out. */
  recoverable?: boolean | undefined;
  /** The finished latent, when only decoding it failed. */
  latent?: Latent | undefined;
  /** The error behind this one. */
  cause?: unknown;
}

/**
 * The one kind of error that this package throws.
 *
 * An aborted request rejects with code `"aborted"` and the name `"AbortError"`;
 * `cause` is then the signal's reason.
 */
export class GlassineError extends Error {
  /** What went wrong, for programs. */
  readonly code: GlassineErrorCode;
  /** What to do about it, for people. Empty where there is nothing to say. */
  readonly hint: string;
  /** Whether the same call can succeed if it is made again. */
  readonly recoverable: boolean;
  /** The finished latent, when only decoding it failed: try `engine.decodeAll(latent)`. */
  readonly latent: Latent | undefined;

  /** Makes an error, as a `ModelSource` of one's own may throw it. */
  constructor(code: GlassineErrorCode, message: string, details: GlassineErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = code === "aborted" ? "AbortError" : "GlassineError";
    this.code = code;
    this.hint = details.hint ?? "";
    this.recoverable = details.recoverable ?? false;
    this.latent = details.latent;
  }
}
