import { checkSupport, createEngine, GlassineError, type GenerateResult, type Progress } from "glassine";
import {
  cancelButton,
  deviceFact,
  dice,
  download,
  empty,
  errorBox,
  foot,
  fields,
  form,
  generateButton,
  history,
  pixelsFact,
  progressBar,
  statusText,
  timeFact,
} from "./page.ts";
import "./models.ts";
import { keepForOffline } from "./offline.ts";
import { show } from "./viewer.ts";

type Engine = Awaited<ReturnType<typeof createEngine>>;

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

let engine: Engine | undefined;
let controller: AbortController | undefined;

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
    engine = await createEngine({ model: parameters.get("model") ?? "mini", device: deviceParameter(), onProgress: showProgress });
    offerDefaults(engine);
    setStatus(`Ready, on the ${deviceName(engine)}`, 0);
    generateButton.disabled = false;
    keepForOffline();
    if (parameters.get("auto") === "1") await generate(engine);
  } catch (error) {
    fail(error);
  }
}

function deviceParameter(): "webgpu" | "cpu" | "auto" {
  const device = parameters.get("device");
  return device === "webgpu" || device === "cpu" ? device : "auto";
}

/** Fills the form with what the model does by itself. */
function offerDefaults({ info: { defaults, sizeMultiple } }: Engine): void {
  const round = (value: number): number => Math.max(1, Math.round(value / sizeMultiple)) * sizeMultiple;
  const { width, height } = defaults;
  const sizes = [
    [width, height],
    [width, round(height * 1.5)],
    [round(width * 1.5), height],
    [round(width * 1.5), round(height * 1.5)],
  ];
  fields.size.replaceChildren(...sizes.map(([w, h]) => new Option(`${w} × ${h}`, `${w}x${h}`)));
  fields.steps.max = String(Math.max(50, defaults.steps));
  fields.steps.value = parameters.get("steps") ?? String(defaults.steps);
  fields.guidance.value = String(defaults.guidance);
  showRanges();
}

async function generate(engine: Engine): Promise<void> {
  controller = new AbortController();
  setBusy(true);
  errorBox.hidden = true;
  const prompt = fields.prompt.value.trim();
  const [width, height] = fields.size.value.split("x").map(Number);
  const begin = performance.now();
  try {
    const result = await engine.generate({
      prompt,
      seed: fields.seed.valueAsNumber,
      width,
      height,
      steps: fields.steps.valueAsNumber,
      guidance: fields.guidance.valueAsNumber,
      previewEvery: 1,
      signal: controller.signal,
      onProgress: showProgress,
    });
    const seconds = (performance.now() - begin) / 1000;
    setStatus("Done", 1);
    await present(engine, result, prompt, seconds);
  } catch (error) {
    if (error instanceof GlassineError && error.code === "aborted") setStatus("Cancelled", 0);
    else fail(error);
  } finally {
    controller = undefined;
    setBusy(false);
  }
}

async function present(engine: Engine, result: GenerateResult, prompt: string, seconds: number): Promise<void> {
  const layer = result.layers[0];
  if (!layer) throw new Error("the engine gave no layer");
  const blob = await layer.toBlob();
  const url = URL.createObjectURL(blob);
  const size = `${layer.width} × ${layer.height}`;

  const reveal = (): void => {
    show(layer.imageData, prompt);
    download.href = url;
    download.download = fileName(prompt, layer.seed);
    deviceFact.textContent = deviceName(engine);
    pixelsFact.textContent = `${size}, seed ${layer.seed}`;
    timeFact.textContent = describeTimes(seconds, result.timings);
    foot.hidden = false;
  };
  reveal();
  addToHistory(url, `${prompt}, seed ${layer.seed}`, reveal);
  first.resolve({
    png: await toBase64(blob),
    width: layer.width,
    height: layer.height,
    device: engine.info.device,
    timings: result.timings,
  });
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
}

function showProgress(progress: Progress): void {
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

function setStatus(text: string, share: number): void {
  statusText.textContent = text;
  progressBar.value = share;
}

function setBusy(busy: boolean): void {
  generateButton.disabled = busy;
  cancelButton.hidden = !busy;
  if (busy) setStatus("Starting", 0);
}

function fail(error: unknown): void {
  first.reject(error);
  setStatus("", 0);
  const { message, hint } = error instanceof GlassineError ? error : { message: String(error), hint: "" };
  const [title, advice] = errorBox.children;
  if (title) title.textContent = message;
  if (advice) advice.textContent = hint;
  errorBox.hidden = false;
}

function showRanges(): void {
  fields.stepsShown.value = fields.steps.value;
  fields.guidanceShown.value = fields.guidance.value;
}

function deviceName(engine: Engine): string {
  return engine.info.device === "webgpu" ? "GPU" : "CPU";
}

function describeTimes(seconds: number, timings: Readonly<Record<string, number>>): string {
  const { denoising } = timings;
  const total = `${seconds.toFixed(1)} s`;
  return denoising === undefined ? total : `${total} (denoising ${(denoising / 1000).toFixed(1)} s)`;
}

function fileName(prompt: string, seed: number): string {
  const words = prompt.toLowerCase().match(/[\p{L}\p{N}]+/gu)?.slice(0, 6) ?? ["picture"];
  return `${words.join("-")}-${seed}.png`;
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}

async function toBase64(blob: Blob): Promise<string> {
  const bytes = new Uint8Array(await blob.arrayBuffer());
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}

form.addEventListener("input", showRanges);
form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (engine && !controller) void generate(engine);
});
cancelButton.addEventListener("click", () => controller?.abort());
dice.addEventListener("click", () => {
  fields.seed.value = String(crypto.getRandomValues(new Uint32Array(1))[0]);
});
