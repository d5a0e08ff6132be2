// LoRAs that the page gives to an engine.

import { GlassineError } from "../../public/errors.js";
import type { LoraOption } from "../../public/types.js";
import type { RawLora } from "../shared/protocol.js";
import { checkOptions } from "./check-options.js";
import { abortError } from "../shared/abort-error.js";
import { isGivenFile, readGiven } from "./given-file.js";

/** Reads the LoRAs' files, once for all times that the engine is loaded. */
export async function readLoras(
  loras: readonly LoraOption[] = [],
  signal: AbortSignal = new AbortController().signal,
): Promise<RawLora[]> {
  if (!Array.isArray(loras)) throw new GlassineError("bad_option", "loras must be a list", { hint: loraHint });
  loras.forEach(checkLora);
  try {
    return await Promise.all(loras.map((lora, index) => readLora(lora, index, signal)));
  } catch (error) {
    throw signal.aborted ? abortError(signal.reason) : error;
  }
}

const loraHint = "Give objects { file, strength }: a Blob, a Uint8Array or a URL, and a number.";

function checkLora(lora: LoraOption, index: number): void {
  const { file, strength = 1 } = checkOptions(`loras[${index}]`, lora, ["file", "strength"]);
  if (!isGivenFile(file)) {
    throw new GlassineError("bad_option", `loras[${index}] has no usable file`, { hint: loraHint });
  }
  if (!Number.isFinite(strength)) {
    throw new GlassineError("bad_option", `loras[${index}] has the strength ${String(strength)}`, { hint: loraHint });
  }
}

async function readLora({ file, strength = 1 }: LoraOption, index: number, signal: AbortSignal): Promise<RawLora> {
  return { strength, ...(await readGiven(file, `loras[${index}]`, signal)) };
}
