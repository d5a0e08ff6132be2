// What the page says of the work at hand, and of what went wrong.

import type { Progress } from "glassine";
import { cancelButton, empty, errorBox, generateButton, progressBar, statusText } from "./page.ts";
import { showError } from "./show-error.ts";
import { show } from "./viewer.ts";

export function showProgress(progress: Progress): void {
  switch (progress.phase) {
    case "loading": {
      const { loadedBytes, totalBytes } = progress;
      return setStatus(`Loading the model: ${megabytes(loadedBytes)} of ${megabytes(totalBytes)} MB`, loadedBytes / totalBytes);
    }
    case "encoding":
      return setStatus("Reading the prompt", 0);
    case "denoising": {
      const { step, steps, preview } = progress;
      if (preview) {
        empty.hidden = true;
        show(preview, "A preview of the picture");
      }
      return setStatus(`Step ${step} of ${steps}`, step / steps);
    }
    case "decoding":
      return setStatus("Making the picture and its transparency", progress.pass / progress.passes);
  }
}

export function setStatus(text: string, share: number): void {
  statusText.textContent = text;
  progressBar.value = share;
}

export function setBusy(busy: boolean): void {
  generateButton.disabled = busy;
  cancelButton.hidden = !busy;
  if (busy) setStatus("Starting", 0);
}

/** Says what went wrong with a picture. */
export function fail(error: unknown): void {
  setStatus("", 0);
  showError(errorBox, error);
}

/** A number of bytes in megabytes, as the page writes it. */
export function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}
