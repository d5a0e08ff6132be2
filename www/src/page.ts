// The page's elements, found once and with their types.

export const form = find("form", HTMLFormElement);
export const fields = {
  prompt: field("prompt", HTMLTextAreaElement),
  seed: field("seed", HTMLInputElement),
  size: field("size", HTMLSelectElement),
  steps: field("steps", HTMLInputElement),
  stepsShown: field("stepsShown", HTMLOutputElement),
  guidance: field("guidance", HTMLInputElement),
  guidanceShown: field("guidanceShown", HTMLOutputElement),
};
export const dice = find("dice", HTMLButtonElement);
export const generateButton = find("generate", HTMLButtonElement);
export const cancelButton = find("cancel", HTMLButtonElement);
export const progressBar = find("progress", HTMLProgressElement);
export const statusText = find("status", HTMLElement);
export const errorBox = find("error", HTMLElement);
export const stage = find("stage", HTMLElement);
export const picture = find("picture", HTMLCanvasElement);
export const empty = find("empty", HTMLElement);
export const paper = find("paper", HTMLFieldSetElement);
export const colour = find("colour", HTMLInputElement);
export const channels = find("channels", HTMLFieldSetElement);
export const scaling = find("scaling", HTMLFieldSetElement);
export const download = find("download", HTMLAnchorElement);
export const foot = find("foot", HTMLElement);
export const deviceFact = find("device", HTMLElement);
export const pixelsFact = find("pixels", HTMLElement);
export const timeFact = find("time", HTMLElement);
export const history = find("history", HTMLElement);

function find<E extends HTMLElement>(id: string, kind: new () => E): E {
  return check(document.getElementById(id), id, kind);
}

function field<E extends HTMLElement>(name: string, kind: new () => E): E {
  return check(form.elements.namedItem(name), name, kind);
}

function check<E extends HTMLElement>(element: unknown, name: string, kind: new () => E): E {
  if (element instanceof kind) return element;
  throw new Error(`the page has no ${name}`);
}
