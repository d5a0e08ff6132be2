// LoRAs that the page gives to an engine, or with a request.

import { GlassineError } from "../../public/errors.js";
import type { LoraOption } from "../../public/types.js";
import type { RawLora } from "../shared/protocol.js";
import { checkOptions, show } from "./check-options.js";
import { abortError } from "../shared/abort-error.js";
import { isGivenFile, isName, readGiven } from "./given-file.js";
import { readShelved } from "./shelved.js";

const loraOptions = ["file", "name", "hash", "strength", "textEncoderStrength"];

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

const loraHint = `Give objects { file, strength }: a Blob, a Uint8Array, a URL or a name on the shelf, and a number from -${maxStrength} to ${maxStrength}.`;

function checkLora(lora: LoraOption, index: number): void {
  const { file, name, hash, strength, textEncoderStrength } = checkOptions(`loras[${index}]`, lora, loraOptions);
  if (!isGivenFile(file) && !isName(file)) {
    throw new GlassineError("bad_option", `loras[${index}] has no usable file`, { hint: loraHint });
  }
  for (const given of [strength, textEncoderStrength]) {
    if (given !== undefined && !(Math.abs(given) <= maxStrength)) {
      throw new GlassineError("bad_option", `loras[${index}] has the strength ${String(given)}`, { hint: loraHint });
    }
  }
  if (hash !== undefined && !/^[\da-f]{4,64}$/i.test(hash)) {
    throw new GlassineError("bad_option", `loras[${index}] has the hash ${show(hash)}`, {
      hint: "Give 4 to 64 hexadecimal digits, as a recipe has them, or leave it out.",
    });
  }
  if (name !== undefined && typeof name !== "string") {
    throw new GlassineError("bad_option", `loras[${index}] has the name ${String(name)}`, { hint: "Give a string, or leave it out." });
  }
}

async function readLora(lora: LoraOption, index: number, signal: AbortSignal): Promise<RawLora> {
  const { file, hash, strength = 1, textEncoderStrength = strength } = lora;
  const strengths = { strength, textEncoderStrength };
  if (typeof file === "string") return { ...(await readShelved("lora", file, hash)), name: lora.name ?? file, hash, ...strengths };
  const given = await readGiven(file, `loras[${index}]`, signal);
  return { file: given.name, bytes: given.bytes, name: lora.name, hash, ...strengths };
}
