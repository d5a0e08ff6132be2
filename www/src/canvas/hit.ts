// What is under a pointer: the topmost layer that has something there.

import { find, type Node, sizeOf, worldMatrix } from "../state/document.ts";
import { apply, invert, type Point } from "../state/geometry.ts";
import { isOpaqueAt } from "../state/pictures.ts";
import { doc } from "../state/studio.ts";

export interface Hit {
  readonly id: string;
  /** The groups that it is in, outermost first. */
  readonly parents: readonly string[];
}

/** Pictures that can be taken hold of at a point, the topmost first. */
export function layersAt(at: Point): Hit[] {
  return hits(doc.value.layers, at, []);
}

function hits(layers: readonly Node[], at: Point, parents: readonly string[]): Hit[] {
  return layers.toReversed().flatMap((node): Hit[] => {
    if (!node.visible || node.locked) return [];
    if (node.kind === "group") return hits(node.layers, at, [...parents, node.id]);
    const found = find(doc.value, node.id);
    if (!found) return [];
    const point = apply(invert(worldMatrix(doc.value, found)), at);
    const { width, height } = sizeOf(doc.value, node);
    const inside = point.x >= 0 && point.y >= 0 && point.x < width && point.y < height;
    return inside && isOpaqueAt(node.picture, point) ? [{ id: node.id, parents }] : [];
  });
}

/** The layer that a click takes: the outermost group that it is in, or, deep, the layer itself. */
export function topmostAt(at: Point, deep = false): string | undefined {
  const [hit] = layersAt(at);
  return deep ? hit?.id : (hit?.parents[0] ?? hit?.id);
}
