// The worker for what needs no model: it flattens, opens and exports scenes and encodes pictures, one call at a
// time. Its module is a small part of the engine's.

import init, { decode_picture, edges, encode_png, encode_webp, open_file, read_recipe, sprite_sheet, WasmScene } from "../../wasm/compose.js";
import { assetUrl, setAssets } from "./assets.js";
import { startingOnce } from "./compile-module.js";
import { toRawError } from "./raw-error.js";
import type { Calls, ComposeCall, FromWorker, RawScene, ToWorker } from "../shared/protocol.js";

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
  const answer = answerTo(call);
  post({ type: "done", answer }, buffersIn(answer));
}

function answerTo(call: ComposeCall): Calls[ComposeCall["type"]]["answer"] {
  switch (call.type) {
    case "flatten":
      return withScene(call, (scene) => scene.flatten());
    case "export":
      return withScene(call, (scene) => scene[call.format]());
    case "open":
      return open_file(call.file, call.name);
    case "sprites":
      return sprite_sheet(call.pictures, call.image, call.trim, call.padding, call.maxSide);
    case "sceneSprites":
      return withScene(call, (scene) => scene.sprites(call.image, call.trim, call.padding, call.maxSide));
    case "picture":
      return decode_picture(call.file);
    case "edges":
      return edges(call.picture, call.options);
    case "recipe":
      return read_recipe(call.file);
    case "png":
      return encode_png(call.width, call.height, call.rgba, call.recipe);
    case "webp":
      return encode_webp(call.width, call.height, call.rgba, call.recipe);
  }
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
