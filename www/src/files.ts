// Files in and out: the one place that knows their kinds.

import {
  GlassineError,
  type Picture,
  type Pixels,
  readRecipe,
  type Recipe,
  Scene,
  type SceneFile,
  type SceneLayer,
} from "glassine";
import { flatten, toScene } from "./compose.ts";
import { opened, openNew } from "./keep/autosave.ts";
import { offerRecipe } from "./making/from-picture.ts";
import { attempt, note } from "./panels/notices.tsx";
import {
  type Doc,
  insert,
  newDoc,
  newGroup,
  newPicture,
  type Node,
  type PictureNode,
  type Variant,
} from "./state/document.ts";
import { fit, type Point, type Size } from "./state/geometry.ts";
import { addPicture, allCome, blobOf } from "./state/pictures.ts";
import { doc, edit, sceneName, select, titleOf } from "./state/studio.ts";

/** What can be opened: pictures become layers; files of layers, and a scene file with its pictures, become a scene. */
export const accepted = "image/png,image/jpeg,image/webp,.json,.zip,.ora,.psd,.psb";

const pictureTypes = ["image/png", "image/jpeg", "image/webp"];

/** Asks for files; the picker is an input of the page's, which panels/tools.tsx has. */
export function pickFiles(): void {
  document.querySelector<HTMLInputElement>("#files")?.click();
}

/** Takes in files, whatever they are; pictures stand at a point, or in the middle. */
export async function takeFiles(files: readonly File[], at?: Point): Promise<void> {
  await attempt("Opening the files", async (signal) => {
    await opened;
    const sceneFile = files.find(({ name }) => /\.(json|zip|ora|psd|psb)$/i.test(name));
    await (sceneFile ? openScene(sceneFile, files, signal) : addPictures(files, at, signal));
  });
}

async function addPictures(files: readonly File[], at: Point | undefined, signal: AbortSignal): Promise<void> {
  const nodes: PictureNode[] = [];
  for (const file of files) {
    if (!pictureTypes.includes(file.type)) {
      note({
        kind: "error",
        title: `The file ${file.name} is no picture that can be a layer`,
        text: "PNG, JPEG and WebP files can.",
      });
      continue;
    }
    const variant = await addPicture(file).catch(() => {
      note({
        kind: "error",
        title: `The file ${file.name} could not be read`,
        text: "It is damaged, or larger than this browser's memory allows.",
      });
    });
    if (!variant) continue;
    const made = await readRecipe(file, { signal }).catch(() => undefined);
    const recipe = made && Object.keys(made.recipe).length > 0 ? made.recipe : undefined;
    nodes.push(newPicture(variant, { name: file.name.replace(/\.\w+$/, ""), recipe }));
    if (made) void offerRecipe(file.name, made);
  }
  const [first] = nodes;
  if (!first || signal.aborted) return;
  edit((now) => {
    const size =
      now.layers.length === 0 && !now.sized
        ? { width: first.width, height: first.height }
        : { width: now.width, height: now.height };
    return insert(
      { ...now, ...size },
      nodes.map((node) => ({ ...node, ...placeFor(node, size, at) })),
    );
  });
  select(nodes.map(({ id }) => id));
}

/** In its own size, unless that is larger than the scene. */
function placeFor(picture: Size, scene: Size, at: Point | undefined) {
  const whole = fit(picture, { x: 0, y: 0, ...scene });
  const scale = Math.min(1, whole.scale);
  if (!at) return { ...whole, scale };
  return { ...whole, scale, x: Math.round(at.x - picture.width / 2), y: Math.round(at.y - picture.height / 2) };
}

async function openScene(file: File, files: readonly File[], signal: AbortSignal): Promise<void> {
  const isText = /\.json$/i.test(file.name);
  const beside = new Map(files.filter((each) => each !== file).map((each) => [each.name, each]));
  // The package checks what the file says.
  const scene = isText ? Scene.fromJSON(await file.text(), beside) : await Scene.open(file, { signal });
  const images = isText ? beside : await blobs(scene.images);
  const {
    layers: _,
    glassine: __,
    width,
    height,
    background = "#00000000",
    space = "srgb",
    ...other
  } = scene.toJSON() as SceneFile;
  const layers = await toNodes(scene.layers, (path) => images.get(path) ?? images.get(path.split("/").at(-1) ?? ""));
  if (scene.warnings.length > 0) {
    note({ kind: "warning", title: `Of ${file.name}, not all could be taken over`, text: scene.warnings.join(" ") });
  }
  scene.dispose();
  if (signal.aborted) return;
  await openNew(
    { ...newDoc({ width, height }), background, space, sized: true, layers, other },
    file.name.replace(/(\.glassine)?\.\w+$/, ""),
  );
}

/** The pictures as files. */
async function blobs(images: ReadonlyMap<string, Picture>): Promise<Map<string, Blob>> {
  const files = new Map<string, Blob>();
  for (const [path, picture] of images) {
    // What the package has opened is a file, or has pixels.
    if (picture instanceof Blob) files.set(path, picture);
    else files.set(path, await (picture as Pixels).toBlob());
  }
  return files;
}

type FindImage = (path: string) => Blob | undefined;

async function toNodes(layers: readonly SceneLayer[], find: FindImage): Promise<Node[]> {
  const nodes: Node[] = [];
  for (const layer of layers) {
    const {
      name = "",
      role,
      x,
      y,
      scale,
      rotate,
      flip,
      opacity,
      blend,
      operator,
      visible,
      recipe,
      image,
      mask,
      layers,
      ...more
    } = layer;
    const { locked, ...other } = more as Record<string, unknown>;
    const settings = { x, y, scale, rotate, flip, opacity, blend, operator, visible, locked: locked === true, other };
    if (layers) {
      nodes.push(newGroup(name, await toNodes(layers, find), settings));
      continue;
    }
    const file = find(image ?? "");
    if (!file) {
      throw new GlassineError("bad_image", `the scene needs the picture ${image}`, {
        hint: "Choose or drop it together with the scene file, and all others that it names.",
      });
    }
    const picture = await addPicture(file);
    const beside = await takeBeside(picture, mask, recipe, find);
    nodes.push(newPicture(picture, { ...settings, name, role, ...beside }));
  }
  return nodes;
}

/** A layer's mask and what it was made from, as far as these are there: it can do without them. */
async function takeBeside(
  size: Size,
  mask: string | undefined,
  recipe: Recipe | undefined,
  find: FindImage,
): Promise<Pick<PictureNode, "mask" | "from" | "recipe">> {
  const take = async (path: unknown): Promise<Variant | undefined> => {
    const file = typeof path === "string" ? find(path) : undefined;
    return file && addPicture(file).catch(() => undefined);
  };
  const own = await take(mask);
  const from = await take(recipe?.init);
  const fromMask = from && (await take(recipe?.mask));
  const { init: _, mask: __, ...made } = recipe ?? {};
  return {
    ...(own && isAlike(own, size) && { mask: own.picture }),
    ...(from && { from: { ...from, ...(fromMask && isAlike(fromMask, from) && { mask: fromMask.picture }) } }),
    recipe: from ? made : recipe,
  };
}

function isAlike(a: Size, b: Size): boolean {
  return a.width === b.width && a.height === b.height;
}

// Out

export type Format = "png" | "webp" | "ora" | "psd" | "zip" | "json";

/** Saves the scene as a file; a scene file has its pictures beside it. */
export async function exportScene(format: Format, signal?: AbortSignal): Promise<void> {
  const name = fileName(sceneName.value);
  await allCome();
  const scene = toScene(doc.value, format === "zip" || format === "json");
  const options = signal ? { signal } : {};
  if (format === "json") {
    const images = [...scene.images];
    download(new Blob([JSON.stringify(scene, null, 2)], { type: "application/json" }), `${name}.json`);
    for (const [path, picture] of images) if (picture instanceof Blob) download(picture, path);
    return;
  }
  const make = {
    png: async () => (await scene.flatten(options)).toBlob(),
    webp: async () => (await scene.flatten(options)).toWebp(),
    zip: () => scene.toFile(options),
    ora: () => scene.toOra(options),
    psd: () => scene.toPsd(options),
  };
  download(await make[format](), `${name}.${format === "zip" ? "glassine.zip" : format}`);
}

/** A layer alone, as it is seen in the scene. */
export async function exportLayer(node: Node): Promise<void> {
  download(await alone(node), `${fileName(titleOf(node))}.png`);
}

async function alone(node: Node): Promise<Blob> {
  const only: Doc = { ...doc.value, background: "#00000000", layers: [{ ...node, visible: true }] };
  return (await flatten(only)).toBlob();
}

/** The name of the file that a layer's own picture is saved as. */
export function pictureFileName({ name, role, recipe, picture }: PictureNode): string {
  const words = fileName(recipe?.prompt ?? name ?? role ?? "", 6, "picture");
  const seed = recipe?.seed === undefined ? [] : [recipe.seed];
  const ending = { "image/jpeg": "jpg", "image/webp": "webp" }[blobOf(picture).type] ?? "png";
  return `${[words, ...(role && role !== "foreground" && role !== "image" ? [role] : []), ...seed].join("-")}.${ending}`;
}

/** Puts what is selected, or all, on the clipboard as a PNG. */
export async function copyPicture(nodes: readonly Node[]): Promise<void> {
  const only = nodes.length > 0 ? { ...doc.value, background: "#00000000", layers: nodes } : doc.value;
  // The promise is handed over, since browsers want to be asked during the click.
  const png = flatten(only).then((flat) => flat.toBlob());
  await navigator.clipboard.write([new ClipboardItem({ "image/png": png })]);
  note({
    kind: "done",
    title: nodes.length > 0 ? "The selected layers are on the clipboard" : "The scene is on the clipboard",
  });
}

function fileName(text: string, count = 8, otherwise = "scene"): string {
  const words = text.toLowerCase().match(/[\p{L}\p{N}]+/gu);
  return words?.slice(0, count).join("-") ?? otherwise;
}

function download(file: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
