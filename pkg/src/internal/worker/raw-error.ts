import { errorCodes } from "../../public/errors.js";
import type { RawError } from "../shared/protocol.js";

/** Reads the fields that a module's errors have, and takes any other error for a fault. */
export function toRawError(error: unknown): RawError {
  const { code, message, hint, recoverable, latent } = Object(error) as Partial<RawError>;
  if (code !== undefined && Object.hasOwn(errorCodes, code)) return { code, message: message ?? code, hint, recoverable, latent };
  return {
    code: "internal",
    message: `the engine stopped: ${message ?? String(error)}`,
    hint: "The browser's console may say more. The next call starts the engine anew.",
    recoverable: true,
  };
}
