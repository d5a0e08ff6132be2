import { checkKinds, checkOptions, show, type Kind } from "../internal/page/check-options.js";
import { checkPicture, toRawPicture } from "../internal/page/pictures.js";
import { sharedCompose } from "../internal/page/shared-compose.js";
import type { RawPicture, RawSheetOptions, RawSpriteSheet } from "../internal/shared/protocol.js";
import { GlassineError } from "./errors.js";
import { Raster } from "./raster.js";
import type { Picture, SpriteSheetJson, SpriteSheetOptions } from "./types.js";

/** Pictures in one, and where each of them is. */
export interface SpriteSheet {
  /** The sheet; its `toBlob()` is the PNG and its `toWebp()` the WebP to save under the name that `json.meta.image` says. */
  readonly picture: Raster;
  /** Where the pictures are, in the form of TexturePacker's "JSON hash", which Phaser, PixiJS and others read. */
  readonly json: SpriteSheetJson;
}

const options = ["signal", "image", "trim", "padding", "maxSide"];

const kinds = { image: "text", trim: "flag", padding: "whole", maxSide: "count" } as const satisfies Record<string, Kind>;

/**
 * Packs pictures into a sprite sheet. An object's keys, or a map's, are what the
 * game calls them; those in a list are called after their places: `"0"`, `"1"`.
 * `scene.toSpriteSheet` does it with the layers of a scene.
 *
 * @example
 * ```ts
 * const { picture, json } = await toSpriteSheet({ apple: layers[0], pear: layers[1] });
 * ```
 *
 * @throws GlassineError `bad_option`, `bad_image`, `out_of_memory`, `aborted`, `worker_failed`.
 */
export async function toSpriteSheet(
  pictures: readonly Picture[] | ReadonlyMap<string, Picture> | Readonly<Record<string, Picture>>,
  settings: SpriteSheetOptions = {},
): Promise<SpriteSheet> {
  const { signal, ...raw } = checkSheetOptions("toSpriteSheet", settings);
  if (typeof pictures !== "object" || pictures === null) {
    throw new GlassineError("bad_option", `toSpriteSheet takes pictures, not ${show(pictures)}`, {
      hint: "Give a list of pictures, or an object of pictures by name.",
    });
  }
  const named = pictures instanceof Map ? [...pictures] : Object.entries(pictures as Record<string, Picture>);
  for (const [name, picture] of named) checkPicture(picture, `the sprite ${show(name)}`);
  const read = named.map(async ([name, picture]): Promise<[string, RawPicture]> => [
    name,
    await toRawPicture(picture, { name: `the sprite ${show(name)}`, signal }),
  ]);
  return fromRawSheet(await sharedCompose("sprites", { ...raw, pictures: new Map(await Promise.all(read)) }, signal));
}

/** @internal Checks the options of a sheet and fills in what they leave out. */
export function checkSheetOptions(call: string, settings: SpriteSheetOptions): RawSheetOptions & { signal: AbortSignal | undefined } {
  const given = checkOptions(call, settings, options);
  checkKinds(given, kinds);
  const { signal, image = "sheet.png", trim = true, padding = 2, maxSide = 4096 } = given;
  return { signal, image, trim, padding, maxSide };
}

/** @internal */
export function fromRawSheet({ picture, json }: RawSpriteSheet): SpriteSheet {
  return { picture: new Raster(picture), json: JSON.parse(json) as SpriteSheetJson };
}
