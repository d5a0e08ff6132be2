// The scene as the package composites and writes it.

import { type Raster, Scene, type SceneLayer } from "glassine";
import type { Doc, Node } from "./state/document.ts";
import { blobOf } from "./state/pictures.ts";

/** One scene for all, since each has a worker of its own. */
const scene = new Scene(1, 1);

/** The package's scene of a document, until the next call: use it at once. */
export function toScene({ width, height, background, space, layers }: Doc): Scene {
  for (const layer of [...scene.layers]) scene.remove(layer);
  Object.assign(scene, { width, height, background, space });
  for (const node of layers) add(node);
  return scene;
}

function add(node: Node, inside?: SceneLayer): void {
  const { id: _, kind: __, locked, other, ...rest } = node;
  const place = inside ? { inside } : "top";
  const more = { ...other, ...(locked && { locked }) };
  if ("layers" in rest) {
    const { layers, ...settings } = rest;
    const group = scene.addGroup({ ...more, ...settings }, place);
    for (const each of layers) add(each, group);
    return;
  }
  const { picture, variants: ___, width: ____, height: _____, ...settings } = rest;
  scene.add(blobOf(picture), { ...more, ...settings }, place);
}

/** What the scene looks like, with straight alpha. */
export async function flatten(doc: Doc, options: { signal?: AbortSignal; background?: string } = {}): Promise<Raster> {
  return toScene(doc).flatten(options);
}
