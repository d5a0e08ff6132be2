// LoRAs from the visitor's disk, for what is made next.

import { signal } from "@preact/signals";
import { newId } from "../state/document.ts";

export interface Lora {
  readonly id: string;
  readonly name: string;
  readonly file: Blob;
  /** The factor on what it changes. */
  readonly strength: number;
}

/** Those that are chosen, which act one after the other. */
export const loras = signal<readonly Lora[]>([]);

export function addLora(file: File): void {
  const name = file.name.replace(/\.safetensors$/i, "");
  loras.value = [...loras.value, { id: newId(), name, file, strength: 1 }];
}

export function setStrength(id: string, strength: number): void {
  loras.value = loras.value.map((lora) => (lora.id === id ? { ...lora, strength } : lora));
}

export function removeLora(id: string): void {
  loras.value = loras.value.filter((lora) => lora.id !== id);
}
