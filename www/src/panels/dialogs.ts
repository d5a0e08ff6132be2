// Which dialog is open, and what of the page is unfolded.

import { signal } from "@preact/signals";

export type DialogName = "gallery" | "shortcuts" | "replace" | "link" | "compare";

export const dialog = signal<DialogName | undefined>(undefined);
/** Whether the panel of layers and properties is open, where the page is too narrow to have it beside the canvas. */
export const panelOpen = signal(false);
/** Whether the prompt bar shows its settings. */
export const settingsOpen = signal(false);
