import { checkKinds, checkOptions } from "../internal/page/check-options.js";
import { defined } from "../internal/page/defined.js";
import { toRawPicture } from "../internal/page/pictures.js";
import { sharedCompose } from "../internal/page/shared-compose.js";
import { type EdgesOf, edgesOf } from "./generated.js";
import { Raster } from "./raster.js";
import type { Picture } from "./types.js";

/** The options of `edges`. */
export interface EdgeOptions {
  /** `"color"`, if left out: the picture's colours on grey. `"alpha"`: a layer's outline alone. */
  of?: EdgesOf | undefined;
  /** How strong it has to be where an edge goes on, above 0; 50 if left out. */
  low?: number | undefined;
  /** How strong it has to be where an edge begins: from black to white at once is about 580; 100 if left out. */
  high?: number | undefined;
  /** Rejects the call with code `"aborted"`. */
  signal?: AbortSignal | undefined;
}

/**
 * Finds a picture's edges in Canny's way: white lines on black, which ControlNets for edges and for scribbles take as
 * their picture. It needs no engine.
 *
 * @example
 * ```ts
 * const picture = await edges(layer, { of: "alpha" });
 * const { layers } = await engine.generate({ prompt: "a stone owl", controls: [{ picture, controlnet: "canny" }] });
 * ```
 *
 * @throws GlassineError `bad_option`, `bad_image`, `out_of_memory`, `aborted`, `worker_failed`.
 */
export async function edges(picture: Picture, options: EdgeOptions = {}): Promise<Raster> {
  const { signal, ...settings } = checkOptions("edges", options, ["of", "low", "high", "signal"]);
  checkKinds(settings, { of: edgesOf, low: "number", high: "number" });
  const raw = await toRawPicture(picture, { signal });
  return new Raster(await sharedCompose("edges", { picture: raw, options: defined(settings) }, signal));
}
