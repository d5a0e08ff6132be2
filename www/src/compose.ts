// The scene as the package composites and writes it.

import { type Raster, Scene, type SceneLayer } from "glassine";
import type { Doc, Node, PictureNode } from "./state/document.ts";
import { blobOf, pictureOf } from "./state/pictures.ts";

/** One scene for all, since each has a worker of its own. */
const scene = new Scene(1, 1);

/**
 * The package's scene of a document, until the next call: use it at once. To be saved, it has masks, too, and what layers
 * were made from.
 */
export function toScene({ width, height, background, space, layers }: Doc, isSaved = false): Scene {
  for (const layer of [...scene.layers]) scene.remove(layer);
  Object.assign(scene, { width, height, background, space });
  for (const node of layers) add(node, isSaved);
  return scene;
}

function add(node: Node, isSaved: boolean, inside?: SceneLayer): void {
  const { id: _, kind: __, locked, other, ...rest } = node;
  const place = inside ? { inside } : "top";
  const more = { ...other, ...(locked && { locked }) };
  if ("layers" in rest) {
    const { layers, ...settings } = rest;
    const group = scene.addGroup({ ...more, ...settings }, place);
    for (const each of layers) add(each, isSaved, group);
    return;
  }
  const { picture, variants: ___, width: ____, height: _____, mask: ______, from: _______, ...settings } = rest;
  scene.add(blobOf(picture), { ...more, ...settings, ...(isSaved && picturesBeside(rest)) }, place);
}

/** The pictures of a layer beside its own, by their paths in the scene. */
function picturesBeside({
  name,
  mask,
  from,
  recipe,
}: Pick<PictureNode, "name" | "mask" | "from" | "recipe">): Pick<SceneLayer, "mask" | "recipe"> {
  const paths = new Map<string, string>();
  const path = (key: string | undefined, what: string): string | undefined => {
    const file = key === undefined ? undefined : pictureOf(key);
    if (!file) return undefined;
    // The same picture is there once.
    const known = paths.get(file.id) ?? scene.addPicture(file.blob, `${name} ${what}`);
    paths.set(file.id, known);
    return known;
  };
  const made = from && { ...recipe, init: path(from.picture, "before"), mask: path(from.mask, "mask") };
  return { mask: path(mask, "mask"), ...(made && { recipe: made }) };
}

/** What the scene looks like, with straight alpha. */
export async function flatten(doc: Doc, options: { signal?: AbortSignal; background?: string } = {}): Promise<Raster> {
  return toScene(doc).flatten(options);
}
