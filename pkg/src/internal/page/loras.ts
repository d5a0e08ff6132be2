// LoRAs that the page gives to an engine, or with a request.

import { GlassineError } from "../../public/errors.js";
import type { LoraOption } from "../../public/types.js";
import type { RawLora } from "../shared/protocol.js";
import { checkOptions } from "./check-options.js";
import { abortError } from "../shared/abort-error.js";
import { isGivenFile, readGiven } from "./given-file.js";

const loraOptions = ["file", "name", "strength", "textEncoderStrength"];

/** The largest strength, in either direction. */
const maxStrength = 100;

/** Reads the LoRAs' files. */
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

const loraHint = `Give objects { file, strength }: a Blob, a Uint8Array or a URL, and a number from -${maxStrength} to ${maxStrength}.`;

function checkLora(lora: LoraOption, index: number): void {
  const { file, name, strength, textEncoderStrength } = checkOptions(`loras[${index}]`, lora, loraOptions);
  if (!isGivenFile(file)) {
    throw new GlassineError("bad_option", `loras[${index}] has no usable file`, { hint: loraHint });
  }
  for (const given of [strength, textEncoderStrength]) {
    if (given !== undefined && !(Math.abs(given) <= maxStrength)) {
      throw new GlassineError("bad_option", `loras[${index}] has the strength ${String(given)}`, { hint: loraHint });
    }
  }
  if (name !== undefined && typeof name !== "string") {
    throw new GlassineError("bad_option", `loras[${index}] has the name ${String(name)}`, { hint: "Give a string, or leave it out." });
  }
}

async function readLora(lora: LoraOption, index: number, signal: AbortSignal): Promise<RawLora> {
  const { file, name, strength = 1, textEncoderStrength = strength } = lora;
  const given = await readGiven(file, `loras[${index}]`, signal);
  return { file: given.name, bytes: given.bytes, name, strength, textEncoderStrength };
}
