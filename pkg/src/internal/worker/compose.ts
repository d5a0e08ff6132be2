// The worker for what needs no model: it flattens, opens and exports scenes and encodes pictures, one call at a
// time. Its module is a small part of the engine's.

import init, { decode_picture, encode_png, encode_webp, open_file, read_recipe, sprite_sheet, WasmScene } from "../../wasm/compose.js";
import { assetUrl, setAssets } from "./assets.js";
import { startingOnce } from "./compile-module.js";
import { toRawError } from "./raw-error.js";
import { GlassineError } from "../../public/errors.js";
import type { SceneFile } from "../../public/types.js";
import { pathsBeside } from "../shared/beside.js";
import type { Calls, ComposeCall, FromWorker, RawOpenedScene, RawPicture, RawScene, ToWorker } from "../shared/protocol.js";
import { filesBeside, withFiles } from "../shared/zip.js";

const moduleUrl = (): URL =>
  assetUrl("dist/wasm/compose_bg.wasm", () => new URL("../../wasm/compose_bg.wasm", import.meta.url));

const start = startingOnce(moduleUrl, init);

function post(message: FromWorker, transfer: Transferable[] = []): void {
  self.postMessage(message, { transfer });
}

/** Makes one thing of a scene. */
function withScene<Made>({ scene: json, pictures }: RawScene, make: (scene: WasmScene) => Made): Made {
  const scene = new WasmScene(json, pictures);
  const made = make(scene);
  // Not if it has failed: after a trap there is nothing left to free.
  scene.free();
  return made;
}

async function run(call: ComposeCall): Promise<void> {
  await start();
  const answer = await answerTo(call);
  post({ type: "done", answer }, buffersIn(answer));
}

/** What calls answer, some of them later. */
type Answer = Calls[ComposeCall["type"]]["answer"];

function answerTo(call: ComposeCall): Answer | Promise<Answer> {
  switch (call.type) {
    case "flatten":
      return withScene(call, (scene) => scene.flatten());
    case "export":
      return withFiles(withScene(call, (scene) => scene[call.format]()), toFiles(call.beside));
    case "open":
      return withPicturesBeside(open_file(call.file, call.name), call.file);
    case "sprites":
      return sprite_sheet(call.pictures, call.image, call.trim, call.padding, call.maxSide);
    case "sceneSprites":
      return withScene(call, (scene) => scene.sprites(call.image, call.trim, call.padding, call.maxSide));
    case "picture":
      return decode_picture(call.file);
    case "recipe":
      return read_recipe(call.file);
    case "png":
      return encode_png(call.width, call.height, call.rgba, call.recipe);
    case "webp":
      return encode_webp(call.width, call.height, call.rgba, call.recipe);
  }
}

/** How many bytes of pictures beside the layers' are unpacked of a file. */
const mostBeside = 2 ** 30;

/** What was opened with the pictures beside the layers', if it is of an archive that has them. */
async function withPicturesBeside(opened: RawOpenedScene, file: Uint8Array<ArrayBuffer>): Promise<RawOpenedScene> {
  const { layers } = JSON.parse(opened.scene) as SceneFile;
  const paths = pathsBeside(layers ?? []).filter((path) => !opened.images.has(path));
  for (const [path, bytes] of await filesBeside(file, paths, mostBeside)) opened.images.set(path, bytes);
  return opened;
}

/** Pictures as files: those that are none, as PNG. */
function toFiles(pictures: ReadonlyMap<string, RawPicture>): Map<string, Uint8Array> {
  const files = [...pictures].map(([path, picture]) => {
    if (!isInside(path)) {
      throw new GlassineError("bad_option", `the picture "${path}" cannot be under this path in one file with its scene`, {
        hint: "Name pictures by short paths, such as apple.png or more/apple.png.",
      });
    }
    return [path, picture instanceof Uint8Array ? picture : encode_png(picture.width, picture.height, picture.rgba, undefined)] as const;
  });
  return new Map(files);
}

/** Whether a path, in its shortest form, stays where it begins. */
function isInside(path: string): boolean {
  const isPart = (part: string): boolean => !["", ".", ".."].includes(part);
  return path !== "scene.json" && path.split("/").every(isPart) && !/[\\\0]|^[^/]:/.test(path);
}

/** The memory of an answer's bytes, which goes to the page with it. */
function buffersIn(answer: Calls[ComposeCall["type"]]["answer"]): ArrayBuffer[] {
  if (answer === undefined || typeof answer === "string") return [];
  if (answer instanceof Uint8Array) return [answer.buffer];
  if ("rgba" in answer) return [answer.rgba.buffer];
  if ("picture" in answer) return [answer.picture.rgba.buffer];
  return [...answer.images.values()].map((image) => (image instanceof Uint8Array ? image : image.rgba).buffer);
}

function fail(error: unknown): void {
  const raw = toRawError(error);
  post({ type: raw.code === "internal" ? "dead" : "failed", error: raw });
}

// A call is made in one go: a request to abort can only come too late.
self.addEventListener("message", ({ data }: MessageEvent<ToWorker>) => {
  if (data.type === "start") setAssets(data.assets);
  else if (data.type !== "abort") run(data as ComposeCall).catch(fail);
});
