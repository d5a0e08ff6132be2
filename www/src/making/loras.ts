// The LoRAs for what is made next: from the shelf, or, where nothing can be stored, from the visitor's disk.

import { computed, signal } from "@preact/signals";
import type { ShelfFile } from "glassine/models";
import { shelf } from "../models/shelf.ts";
import { newId } from "../state/document.ts";

export interface Lora {
  readonly id: string;
  /** What prompts call it. */
  readonly name: string;
  /** Its name on the shelf, or the file itself. */
  readonly file: Blob | string;
  /** The factor on what it changes. */
  readonly strength: number;
  /** The beginning of the hash that a recipe says of it. */
  readonly hash?: string | undefined;
}

const all = signal<readonly Lora[]>([]);

/** Those that are chosen, which act one after the other. What was taken off the shelf is chosen no more. */
export const loras = computed(() => all.value.filter(({ file }) => typeof file !== "string" || onShelf(file)));

/** A file of the shelf by its name there. */
export function onShelf(name: string): ShelfFile | undefined {
  return shelf.value.find((file) => isCalled(file, name));
}

export function isCalled({ name }: { name: string }, other: string): boolean {
  return name.toLowerCase() === other.toLowerCase();
}

/** The one that is chosen of a file on the shelf. */
export function chosenOf(name: string): Lora | undefined {
  return loras.value.find(({ file }) => typeof file === "string" && isCalled({ name: file }, name));
}

export function addLora(lora: Omit<Lora, "id">): void {
  all.value = [...loras.value, { ...lora, id: newId() }];
}

/** Adds a file that is on no shelf. */
export function addFile(file: File): void {
  addLora({ name: file.name.replace(/\.safetensors$/i, ""), file, strength: 1 });
}

/** Changes those that a recipe names. */
export function changeLoras(change: (lora: Lora) => Lora): void {
  all.value = loras.value.map(change);
}

export function setStrength(id: string, strength: number): void {
  changeLoras((lora) => (lora.id === id ? { ...lora, strength } : lora));
}

export function removeLora(id: string): void {
  all.value = loras.value.filter((lora) => lora.id !== id);
}
