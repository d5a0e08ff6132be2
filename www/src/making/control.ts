// The picture that steers what is made next, with a model whose pack holds a ControlNet.

import { computed, signal } from "@preact/signals";
import { find } from "../state/document.ts";
import { blobOf } from "../state/pictures.ts";
import { doc } from "../state/studio.ts";

export interface Control {
  readonly picture: Blob;
  /** How strongly it steers. */
  readonly scale: number;
}

/** A layer's own pixels, or a file. */
export type Source = { readonly layer: string } | { readonly file: File };

export const source = signal<Source | undefined>(undefined);
export const scale = signal(1);

/** Nothing if the layer is gone. */
export const control = computed((): Control | undefined => {
  const { value } = source;
  if (!value) return undefined;
  if ("file" in value) return { picture: value.file, scale: scale.value };
  const node = find(doc.value, value.layer)?.node;
  return node?.kind === "picture" ? { picture: blobOf(node.picture), scale: scale.value } : undefined;
});
