// The page at work: it loads a model, generates pictures and builds up a scene.

import { checkSupport, createEngine, type Engine, type GenerateResult, GlassineError, type Layer } from "glassine";
import {
  behindButton,
  cancelButton,
  deviceFact,
  download,
  errorBox,
  fields,
  foot,
  form,
  frontButton,
  history,
  keepButton,
  pixelsFact,
  timeFact,
} from "./page.ts";
import "./checkpoint.ts";
import { keepForOffline } from "./offline.ts";
import { offer, readAddition, readRequest, readSize } from "./request.ts";
import { keep, offerAdditions, resize, scene, showScene } from "./scene.ts";
import { fail, setBusy, setStatus, showProgress } from "./status.ts";
import { show } from "./viewer.ts";

/** What a script that opens the page with `?auto=1` gets. */
interface PageResult {
  png: string;
  width: number;
  height: number;
  device: string;
  timings: Readonly<Record<string, number>>;
}

declare global {
  interface Window {
    glassineResult: Promise<PageResult>;
  }
}

const parameters = new URLSearchParams(location.search);
const first = Promise.withResolvers<PageResult>();
first.promise.catch(() => {});
window.glassineResult = first.promise;

/** How many earlier pictures are offered. */
const historyLength = 48;

let engine: Engine | undefined;
let controller: AbortController | undefined;
let shown: Layer | undefined;

await start();

async function start(): Promise<void> {
  fields.prompt.value = parameters.get("prompt") ?? "a red apple";
  fields.seed.value = parameters.get("seed") ?? fields.seed.value;
  try {
    const support = await checkSupport();
    if (!support.ok) {
      throw new GlassineError("device_unavailable", "This browser cannot run Glassine.", {
        hint: support.reasons.join(" "),
      });
    }
    const model = parameters.get("model") ?? "mini";
    engine = await createEngine({ model, device: deviceParameter(), onProgress: showProgress });
    offer(engine.info, parameters.get("steps"));
    setBusy(false);
    offerAdditions(engine.info);
    setStatus(`Ready, on the ${deviceName(engine)}`, 0);
    keepForOffline();
  } catch (error) {
    first.reject(error);
    return fail(error);
  }
  if (parameters.get("auto") === "1") await generate(engine);
}

function deviceParameter(): "webgpu" | "cpu" | "auto" {
  const device = parameters.get("device");
  return device === "webgpu" || device === "cpu" ? device : "auto";
}

/** Makes what the form says. */
async function generate(engine: Engine): Promise<void> {
  await work(engine, async (options) => {
    const begin = performance.now();
    const result = await engine.generate({ ...readRequest(), ...options });
    await present(engine, result, (performance.now() - begin) / 1000);
  });
}

/** Makes a layer for the scene of what the form says. */
async function extend(engine: Engine, where: "front" | "behind"): Promise<void> {
  await work(engine, async (options) => {
    if (scene.layers.length === 0) resize(...readSize());
    await engine.addLayer(scene, { ...readAddition(), ...options, where });
    showScene();
  });
}

interface WorkOptions {
  signal: AbortSignal;
  onProgress: typeof showProgress;
}

/** Runs one request, with the page showing how far it is and what comes of it. */
async function work(engine: Engine, request: (options: WorkOptions) => Promise<void>): Promise<void> {
  controller = new AbortController();
  setBusy(true);
  offerAdditions(undefined);
  errorBox.hidden = true;
  try {
    await request({ signal: controller.signal, onProgress: showProgress });
    setStatus("Done", 1);
  } catch (error) {
    first.reject(error);
    if (error instanceof GlassineError && error.code === "aborted") setStatus("Cancelled", 0);
    else fail(error);
  } finally {
    controller = undefined;
    setBusy(false);
    offerAdditions(engine.info);
  }
}

/** Shows the first of the layers that a request has made, and offers all of them. */
async function present(engine: Engine, { layers, timings }: GenerateResult, seconds: number): Promise<void> {
  const blobs = await Promise.all(layers.map((layer) => layer.toBlob()));
  for (const [index, layer] of [...layers.entries()].reverse()) {
    const url = URL.createObjectURL(blobs[index]!);
    const label = describe(layer);
    const reveal = (): void => {
      shown = layer;
      show(layer.imageData, label);
      download.href = url;
      download.download = fileName(layer);
      deviceFact.textContent = deviceName(engine);
      pixelsFact.textContent = `${layer.width} × ${layer.height}, ${layer.role}, seed ${layer.seed}`;
      timeFact.textContent = describeTimes(seconds, timings);
      foot.hidden = false;
    };
    reveal();
    addToHistory(url, label, reveal);
  }
  const [layer] = layers;
  const [blob] = blobs;
  if (!layer || !blob) throw new Error("the engine gave no layer");
  const { width, height } = layer;
  first.resolve({ png: await toBase64(blob), width, height, device: engine.info.device, timings });
}

function addToHistory(url: string, label: string, reveal: () => void): void {
  const image = new Image();
  image.src = url;
  image.alt = label;
  const button = document.createElement("button");
  button.type = "button";
  button.title = label;
  button.append(image);
  button.addEventListener("click", reveal);
  history.prepend(button);
  // Each keeps its pixels and its file: the oldest go.
  for (const old of [...history.children].slice(historyLength)) {
    const oldImage = old.querySelector("img");
    if (oldImage && oldImage.src !== download.href) URL.revokeObjectURL(oldImage.src);
    old.remove();
  }
}

function deviceName(engine: Engine): string {
  return engine.info.device === "webgpu" ? "GPU" : "CPU";
}

function describe({ recipe, role, seed }: Layer): string {
  return `${recipe?.prompt}, ${role}, seed ${seed}`;
}

function describeTimes(seconds: number, timings: Readonly<Record<string, number>>): string {
  const { denoising } = timings;
  const total = `${seconds.toFixed(1)} s`;
  return denoising === undefined ? total : `${total} (denoising ${(denoising / 1000).toFixed(1)} s)`;
}

function fileName({ recipe, role, seed }: Layer): string {
  const words = recipe?.prompt?.toLowerCase().match(/[\p{L}\p{N}]+/gu)?.slice(0, 6) ?? ["picture"];
  return [...words, ...(recipe?.mode === "single" ? [] : [role]), seed].join("-") + ".png";
}

async function toBase64(blob: Blob): Promise<string> {
  const bytes = new Uint8Array(await blob.arrayBuffer());
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (engine && !controller) void generate(engine);
});
for (const [button, where] of [[frontButton, "front"], [behindButton, "behind"]] as const) {
  button.addEventListener("click", () => {
    if (engine && !controller && fields.prompt.reportValidity()) void extend(engine, where);
  });
}
cancelButton.addEventListener("click", () => controller?.abort());
keepButton.addEventListener("click", () => {
  if (shown) keep(shown);
});
