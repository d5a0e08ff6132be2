// The worker for what needs no model: it flattens and exports scenes and encodes PNG, one call at a
// time. Its module is a small part of the engine's.

import init, { encode_png, WasmScene } from "../../wasm/compose.js";
import { assetUrl, setAssets } from "./assets.js";
import { startingOnce } from "./compile-module.js";
import { toRawError } from "./raw-error.js";
import type { ComposeCall, FromWorker, RawScene, ToWorker } from "../shared/protocol.js";

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
  if (call.type === "flatten") {
    const answer = withScene(call, (scene) => scene.flatten());
    return post({ type: "done", answer }, [answer.rgba.buffer]);
  }
  const answer =
    call.type === "export"
      ? withScene(call, (scene) => scene[call.format]())
      : encode_png(call.width, call.height, call.rgba);
  post({ type: "done", answer }, [answer.buffer]);
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
