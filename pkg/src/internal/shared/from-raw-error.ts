import { GlassineError } from "../../public/errors.js";
import type { RawError } from "./protocol.js";

/** The error that a message carries: errors of one's own lose their fields on the way between threads. */
export function fromRawError({ code, message, ...details }: RawError, cause?: unknown): GlassineError {
  return new GlassineError(code, message, { ...details, cause });
}
