// The scene: its layers as a list, topmost first, and what they make together.

import { blendModes, type BlendMode, type EngineInfo, GlassineError, type Layer, Scene, type SceneLayer } from "glassine";
import {
  behindButton,
  frontButton,
  layerList,
  layerTemplate,
  part,
  sceneFiles,
  sceneJson,
  sceneLacking,
  sceneOra,
  scenePicture,
  scenePng,
  scenePsd,
  sceneStage,
} from "./page.ts";
import { fail } from "./status.ts";

/** The page's scene; it has the size of its first layer. */
export const scene = new Scene(64, 64);
const rows = new Map<SceneLayer, HTMLLIElement>();
let redrawing: AbortController | undefined;
let able: EngineInfo | undefined;

/** Puts a layer on top. */
export function keep(layer: Layer): void {
  if (scene.layers.length === 0) resize(layer.width, layer.height);
  scene.add(layer, { name: layer.recipe?.prompt ?? layer.role });
  showScene();
}

/** Has the scene another size. */
export function resize(width: number, height: number): void {
  scene.width = width;
  scene.height = height;
}

/** Shows the layers that there are, and what they make together. */
export function showScene(): void {
  layerList.replaceChildren(...scene.layers.map(rowOf).reverse());
  for (const [layer, row] of rows) if (!scene.layers.includes(layer)) drop(layer, row);
  sceneStage.hidden = sceneFiles.hidden = scene.layers.length === 0;
  offerAdditions(able);
  void redraw();
}

/** Lets layers be generated into the scene, as far as the model can; not while there is none, or it is busy. */
export function offerAdditions(info: EngineInfo | undefined): void {
  able = info;
  const lacks = scene.layers.length === 0 ? {} : (info?.missing ?? {});
  frontButton.disabled = !info || "bg2fg" in lacks;
  behindButton.disabled = !info || "fg2bg" in lacks;
  const reasons = [
    ...("bg2fg" in lacks ? [`In front needs ${lacks["bg2fg"]}.`] : []),
    ...("fg2bg" in lacks ? [`Behind needs ${lacks["fg2bg"]}.`] : []),
  ];
  sceneLacking.hidden = reasons.length === 0;
  sceneLacking.textContent = reasons.join(" ");
}

async function redraw(): Promise<void> {
  redrawing?.abort();
  redrawing = new AbortController();
  setFile(sceneJson, new Blob([JSON.stringify(scene, null, 2)], { type: "application/json" }));
  try {
    const flat = await scene.flatten({ signal: redrawing.signal });
    scenePicture.width = flat.width;
    scenePicture.height = flat.height;
    scenePicture.getContext("2d")?.putImageData(flat.imageData, 0, 0);
    setFile(scenePng, await flat.toBlob());
  } catch (error) {
    if (!(error instanceof GlassineError && error.code === "aborted")) fail(error);
  }
}

/** The list's entry for a layer, made when it is first shown. */
function rowOf(layer: SceneLayer): HTMLLIElement {
  return rows.get(layer) ?? newRow(layer);
}

/** Lets go of the entry of a layer that is no longer there. */
function drop(layer: SceneLayer, row: HTMLLIElement): void {
  rows.delete(layer);
  URL.revokeObjectURL(part(row, "a", HTMLAnchorElement).href);
}

function newRow(layer: SceneLayer): HTMLLIElement {
  const row = part(layerTemplate.content, "li", HTMLLIElement).cloneNode(true) as HTMLLIElement;
  const name = [layer.name, layer.role].filter(Boolean).join(", ");
  part(row, "strong", HTMLElement).textContent = name;

  const visible = part(row, "[name=visible]", HTMLInputElement);
  visible.addEventListener("change", () => {
    layer.visible = visible.checked;
    void redraw();
  });
  const opacity = part(row, "[name=opacity]", HTMLInputElement);
  opacity.addEventListener("input", () => {
    layer.opacity = opacity.valueAsNumber;
    void redraw();
  });
  const blend = part(row, "[name=blend]", HTMLSelectElement);
  blend.append(...blendModes.map((mode) => new Option(mode)));
  blend.addEventListener("change", () => {
    layer.blend = blend.value as BlendMode;
    void redraw();
  });

  for (const [name, step] of [["up", 1], ["down", -1]] as const) {
    const button = part(row, `[name=${name}]`, HTMLButtonElement);
    button.addEventListener("click", () => {
      const neighbour = scene.layers[scene.layers.indexOf(layer) + step];
      if (neighbour) scene.move(layer, step > 0 ? { above: neighbour } : { below: neighbour });
      showScene();
      button.focus();
    });
  }
  part(row, "[name=remove]", HTMLButtonElement).addEventListener("click", () => {
    scene.remove(layer);
    showScene();
  });
  rows.set(layer, row);
  showPicture(row, layer).catch(fail);
  return row;
}

/** The thumbnail, and the file that the scene file names. */
async function showPicture(row: HTMLLIElement, layer: SceneLayer): Promise<void> {
  const { image = "" } = layer;
  const picture = scene.images.get(image);
  const link = part(row, "a", HTMLAnchorElement);
  if (picture instanceof Blob) setFile(link, picture);
  else if (typeof picture === "object" && "imageData" in picture) setFile(link, await picture.toBlob());
  else throw new Error("the demo adds layers only");
  // It may have been removed meanwhile.
  if (!rows.has(layer)) return URL.revokeObjectURL(link.href);
  link.download = image;
  part(row, "img", HTMLImageElement).src = link.href;
}

/** Makes a link download a file. */
function setFile(link: HTMLAnchorElement, file: Blob): void {
  URL.revokeObjectURL(link.href);
  link.href = URL.createObjectURL(file);
}

/** Makes a button download a file that takes a while to make. */
function offerFile(button: HTMLButtonElement, name: string, make: () => Promise<Blob>): void {
  const link = document.createElement("a");
  link.download = name;
  const save = (file: Blob): void => {
    setFile(link, file);
    link.click();
  };
  button.addEventListener("click", () => void make().then(save, fail));
}

offerFile(sceneOra, "scene.ora", () => scene.toOra());
offerFile(scenePsd, "scene.psd", () => scene.toPsd());
