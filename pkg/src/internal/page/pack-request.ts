// A checkpoint's files and its companions, as a page names them, on their way to
// the worker that packs them.

import { GlassineError } from "../../public/errors.js";
import { adapterKinds, quantizations, samplers } from "../../public/generated.js";
import type { PackDefaults, PackOptions } from "../../public/types.js";
import { checkKind, checkOptions } from "./check-options.js";
import type { PackRequest } from "../shared/protocol.js";
import { isModelName, modelNameOf } from "../shared/store.js";

const companions = ["transparencyDecoder", "transparencyEncoder", "taesdDecoder", "taesdEncoder"] as const;

/** Parts of the checkpoint that stand alone: a file, a folder's files, or a whole checkpoint that holds the part. */
const parts = { vae: "vae", textEncoder: "text_encoder" } as const;

const others = ["name", "vae", "textEncoder", "quantize", "layers", "loras", "controlnet", "nativeTransparency", "defaults", "signal", "onProgress"];

/** What to pack, under paths of its own: each option's files are in a folder that has its name. */
export function toPackRequest(model: Blob | Iterable<File>, options: PackOptions): PackRequest {
  checkPackOptions(options);
  const { quantize = "q4", nativeTransparency = false, layers = {}, loras = [], controlnet, defaults = {} } = options;
  const { steps, guidance, sampler, clipSkip, decodePasses } = defaults;
  const given = new GivenFiles();
  const path = given.add("model", model, "unet/config.json", "model_index.json", "config.json");
  return {
    name: options.name ?? nameOf(path),
    options: {
      model: path,
      quantize,
      nativeTransparency,
      controlnet: controlnet && given.add("controlnet", controlnet, "config.json"),
      ...Object.fromEntries(
        Object.entries(parts).flatMap(([option, folder]) => {
          const files = options[option as keyof typeof parts];
          return files ? [[option, given.add(option, files, `${folder}/config.json`, "config.json")]] : [];
        }),
      ),
      layers: Object.fromEntries(
        Object.entries(layers).flatMap(([kind, file]) => (file ? [[kind, given.add(`layers.${kind}`, file)]] : [])),
      ),
      loras: loras.map(({ file, strength = 1 }, index) => [given.add(`loras[${index}]`, file), strength]),
      ...(steps !== undefined && { defaultSteps: steps }),
      ...(guidance !== undefined && { defaultGuidance: guidance }),
      ...(sampler !== undefined && { defaultSampler: sampler }),
      ...(clipSkip !== undefined && { defaultClipSkip: clipSkip }),
      ...(decodePasses !== undefined && { defaultDecodePasses: decodePasses }),
      ...Object.fromEntries(
        companions.flatMap((option) => {
          const file = options[option];
          return file ? [[option, given.add(option, file)]] : [];
        }),
      ),
    },
    files: given.files,
  };
}

class GivenFiles {
  readonly files: PackRequest["files"] = [];

  /**
   * Adds the file or the files of an option. Gives its path, or that of the folder
   * in which the first of `markerFiles` lies that is there.
   */
  add(option: string, given: Blob | Iterable<File>, ...markerFiles: string[]): string {
    const list = given instanceof Blob ? [given] : Symbol.iterator in Object(given) ? [...given] : [];
    if (list.length === 0 || !list.every((file) => file instanceof Blob)) {
      throw new GlassineError("bad_option", `${option} has no usable file`, { hint: "Give a File, or a folder's Files." });
    }
    const paths = list.map((file) => `${option}/${pathOf(file)}`);
    this.files.push(...list.map((file, index) => ({ path: paths[index]!, file })));
    for (const marker of markerFiles) {
      const found = paths.find((path) => path.endsWith(`/${marker}`));
      if (found !== undefined) return found.slice(0, -marker.length - 1);
    }
    return paths.length === 1 ? paths[0]! : option;
  }
}

function pathOf(file: Blob): string {
  return file instanceof File ? file.webkitRelativePath || file.name : "blob.safetensors";
}

/** What a model is called if nobody says: as its file or folder. */
function nameOf(path: string): string {
  const name = modelNameOf(path.slice(path.lastIndexOf("/") + 1).replace(/\.(safetensors|ckpt|pt|pth|bin)$/i, ""));
  if (isModelName(name)) return name;
  throw new GlassineError("bad_option", `no stored model can be called "${name}"`, { hint: "Give a name." });
}

function checkPackOptions(options: PackOptions): void {
  checkOptions("models.import of files", options, [...others, ...companions]);
  const { quantize = "q4", layers = {}, loras = [], defaults = {} } = options;
  checkKind("quantize", quantize, quantizations);
  const layer = Object.keys(layers).find((kind) => !(adapterKinds as readonly string[]).includes(kind));
  if (layer !== undefined) {
    throw new GlassineError("bad_option", `there are no layers "${layer}"`, { hint: `There are ${adapterKinds.join(", ")}.` });
  }
  if (!Array.isArray(loras) || !loras.every((lora) => lora?.file instanceof Blob && Number.isFinite(lora.strength ?? 1))) {
    throw new GlassineError("bad_option", "loras cannot be used", { hint: "Give a list of { file, strength }." });
  }
  checkDefaults(defaults);
}

function checkDefaults({ steps = 1, guidance = 1, sampler = samplers[0], clipSkip = 1, decodePasses = 8, ...rest }: PackDefaults): void {
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined) {
    throw new GlassineError("bad_option", `there is no default "${unknown}"`, {
      hint: "There are steps, guidance, sampler, clipSkip, decodePasses.",
    });
  }
  if (!Number.isInteger(steps) || steps < 1) {
    throw new GlassineError("bad_option", `the default steps cannot be ${String(steps)}`, { hint: "Give a whole number from 1." });
  }
  if (!Number.isInteger(clipSkip) || clipSkip < 1) {
    throw new GlassineError("bad_option", `the default clipSkip cannot be ${String(clipSkip)}`, {
      hint: "Give a whole number from 1.",
    });
  }
  if (!Number.isFinite(guidance)) {
    throw new GlassineError("bad_option", `the default guidance cannot be ${String(guidance)}`, { hint: "Give a number." });
  }
  checkKind("sampler", sampler, samplers);
  checkKind("decodePasses", decodePasses, [1, 8]);
}
