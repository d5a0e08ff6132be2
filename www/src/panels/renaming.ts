// Which layer is getting another name.

import { signal } from "@preact/signals";

export const renaming = signal<string | undefined>(undefined);
