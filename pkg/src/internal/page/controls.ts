// Control pictures of a request, each with the ControlNet that sees it.

import { GlassineError } from "../../public/errors.js";
import type { ControlOption, RecipeControl } from "../../public/types.js";
import { fetchBytes } from "../shared/fetch.js";
import type { RawControl, RawControlNet } from "../shared/protocol.js";
import { checkKinds, checkOptions, type Kind } from "./check-options.js";
import { type GivenFile, isGivenFile, isName } from "./given-file.js";
import { checkPicture, toPixels } from "./pictures.js";
import { openShelved } from "./shelved.js";

const numbers = { scale: "number", start: "number", end: "number" } as const satisfies Record<string, Kind>;

const controlOptions = ["picture", "controlnet", ...Object.keys(numbers)];

/** Refuses what cannot be asked for. Ranges are the engine's to check. */
export function checkControls(controls: readonly ControlOption[]): void {
  if (!Array.isArray(controls)) {
    throw new GlassineError("bad_option", "controls must be a list", { hint: "Give objects { picture, controlnet, scale, start, end }." });
  }
  controls.forEach((control: ControlOption, index) => {
    const name = `controls[${index}]`;
    const { picture, controlnet } = checkOptions(name, control, controlOptions);
    checkPicture(picture, `the picture of ${name}`);
    checkKinds(control, numbers);
    if (controlnet !== undefined && !isGivenFile(controlnet) && !isName(controlnet)) {
      throw new GlassineError("bad_option", `${name} has no usable ControlNet`, {
        hint: "Give a Blob, a Uint8Array, a URL or a name on the shelf, or leave it out for the model's own.",
      });
    }
  });
}

/** Copies the pictures at once, whatever comes of what they were copied from. The ControlNets' files are not read yet. */
export function readControls(controls: readonly ControlOption[], signal: AbortSignal | undefined): Promise<RawControl[]> {
  return Promise.all(
    controls.map(async ({ picture, controlnet, scale, start, end }, index) => {
      const name = `controls[${index}]`;
      const pixels = toPixels(picture, { name: `the picture of ${name}`, signal });
      const opened = controlnet === undefined ? undefined : openControlNet(controlnet, `the ControlNet of ${name}`, signal);
      const [raw, file] = await Promise.all([pixels, opened]);
      return { picture: raw, controlnet: file, scale, start, end };
    }),
  );
}

/** Controls as a recipe has them. */
export function recordedControls(controls: readonly ControlOption[]): RecipeControl[] {
  return controls.map(({ controlnet, scale = 1, start = 0, end = 1 }) => {
    const steering = { scale, start, end };
    return controlnet === undefined ? steering : { controlnet: nameOf(controlnet), ...steering };
  });
}

function nameOf(controlnet: GivenFile | string): string {
  if (typeof controlnet === "string") return controlnet;
  const name = controlnet instanceof URL ? (controlnet.pathname.split("/").pop() ?? "") : controlnet instanceof File ? controlnet.name : "";
  return name.replace(/\.[^.]+$/, "");
}

/** Files that requests have had, each with what the engine knows it by, so that one file is loaded once. */
const known = new WeakMap<Blob | Uint8Array, RawControlNet>();

let count = 0;

async function openControlNet(given: GivenFile | string, label: string, signal: AbortSignal | undefined): Promise<RawControlNet> {
  if (typeof given === "string") {
    const { record, file } = await openShelved("controlnet", given);
    return { id: record.sha256, name: record.name, file };
  }
  if (given instanceof URL) return { id: given.href, name: given.href, file: new Blob([await fetchBytes(given, { signal }, "file")]) };
  const before = known.get(given);
  if (before) return before;
  const file = given instanceof Blob ? given : new Blob([new Uint8Array(given)]);
  const opened = { id: `given ${(count += 1)}`, name: given instanceof File ? given.name : label, file };
  known.set(given, opened);
  return opened;
}
