// A layer with more pixels, at the same extent in the scene.

import type { PictureNode } from "../state/document.ts";
import { info } from "./model.ts";
import { enqueue } from "./queue.ts";
import { boxOf, optionsOf, ownMode, randomSeed } from "./redo.ts";
import { settings } from "./settings.ts";

/** Makes a layer twice as large, by what has made it, or else by what the prompt bar says of steps and guidance. */
export function enlarge(node: PictureNode): void {
  const { recipe, id, picture, width, height } = node;
  const { steps, guidance } = settings.value!;
  enqueue({
    mode: ownMode(node, info.value!),
    prompt: recipe?.prompt ?? node.name,
    options: { steps, guidance, ...optionsOf(recipe), enlarge: 2 },
    seed: randomSeed(),
    count: 1,
    size: { width: 2 * width, height: 2 * height },
    box: boxOf(node),
    instead: id,
    init: { picture, width, height },
  });
}
