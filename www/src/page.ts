// The page's elements, found once and with their types.

export const form = find("form", HTMLFormElement);
export const fields = {
  prompt: field("prompt", HTMLTextAreaElement),
  mode: field("mode", HTMLSelectElement),
  seed: field("seed", HTMLInputElement),
  size: field("size", HTMLSelectElement),
  steps: field("steps", HTMLInputElement),
  stepsShown: field("stepsShown", HTMLOutputElement),
  guidance: field("guidance", HTMLInputElement),
  guidanceShown: field("guidanceShown", HTMLOutputElement),
  strength: field("strength", HTMLInputElement),
  strengthShown: field("strengthShown", HTMLOutputElement),
};
export const lacking = find("lacking", HTMLDetailsElement);
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
export const keepButton = find("keep", HTMLButtonElement);
export const download = find("download", HTMLAnchorElement);
export const foot = find("foot", HTMLElement);
export const deviceFact = find("device", HTMLElement);
export const pixelsFact = find("pixels", HTMLElement);
export const timeFact = find("time", HTMLElement);
export const history = find("history", HTMLElement);
export const frontButton = find("front", HTMLButtonElement);
export const behindButton = find("behind", HTMLButtonElement);
export const sceneLacking = find("scene-lacking", HTMLElement);
export const sceneStage = find("scene-stage", HTMLElement);
export const scenePicture = find("scene-picture", HTMLCanvasElement);
export const layerList = find("layers", HTMLOListElement);
export const layerTemplate = find("layer", HTMLTemplateElement);
export const sceneFiles = find("scene-files", HTMLElement);
export const scenePng = find("scene-png", HTMLAnchorElement);
export const sceneJson = find("scene-json", HTMLAnchorElement);
export const sceneOra = find("scene-ora", HTMLButtonElement);
export const scenePsd = find("scene-psd", HTMLButtonElement);

function find<E extends HTMLElement>(id: string, kind: new () => E): E {
  return check(document.getElementById(id), id, kind);
}

function field<E extends HTMLElement>(name: string, kind: new () => E): E {
  return check(form.elements.namedItem(name), name, kind);
}

/** The element inside of another that a selector names. */
export function part<E extends HTMLElement>(of: ParentNode, selector: string, kind: new () => E): E {
  return check(of.querySelector(selector), selector, kind);
}

function check<E extends HTMLElement>(element: unknown, name: string, kind: new () => E): E {
  if (element instanceof kind) return element;
  throw new Error(`the page has no ${name}`);
}
