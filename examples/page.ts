// What the examples' pages have in common: a form, a line that says how far it is, and a place for pictures.

import { GlassineError, type Progress, type StorageProgress } from "glassine";

const form = document.querySelector("form")!;
const button = form.querySelector("button")!;
const status = document.querySelector("[role=status]")!;
const result = document.querySelector("#result")!;

/** Has `make` run each time that the form is sent, with the form's fields, and shows the elements that it gives. */
export function onSubmit(make: (fields: FormData) => Promise<Element[]>): void {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    await attempt(async () => {
      result.replaceChildren(...(await make(new FormData(form))));
      say("Done");
    });
    button.disabled = false;
  });
  button.disabled = false;
  say("Ready");
}

/** Runs something, and says what went wrong if it fails. */
export async function attempt(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof GlassineError)) throw error;
    say(`${error.message}. ${error.hint}`);
  }
}

/** Shows a sentence, or how far a request is. */
export function say(what: string | Progress | StorageProgress): void {
  status.textContent = typeof what === "string" ? what : sentence(what);
}

function sentence(progress: Progress | StorageProgress): string {
  if (progress.phase === "denoising")
    return `Step ${progress.step} of ${progress.steps}`;
  if (progress.phase === "decoding")
    return `Decoding, ${progress.pass} of ${progress.passes}`;
  if ("loadedBytes" in progress) {
    return `${progress.phase}: ${megabytes(progress.loadedBytes)} of ${megabytes(progress.totalBytes)}`;
  }
  return `${progress.phase} …`;
}

const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;

/** A picture with links to what can be saved, by file name. */
export function figure(
  alt: string,
  picture: Blob,
  files: Record<string, Blob> = {},
): HTMLElement {
  const image = Object.assign(new Image(), {
    alt,
    src: URL.createObjectURL(picture),
  });
  const links = Object.entries(files).map(([download, file]) =>
    Object.assign(document.createElement("a"), {
      download,
      href: URL.createObjectURL(file),
      textContent: `Save ${download}`,
    }),
  );
  const element = document.createElement("figure");
  element.append(image, ...links);
  return element;
}
