// The model that makes the pictures: it is loaded while the page is at work already.

import { signal } from "@preact/signals";
import {
  checkSupport,
  createEngine,
  type Device,
  type Engine,
  type EngineInfo,
  GlassineError,
  type Mode,
  type Progress,
  type Support,
} from "glassine";
import { megabytes } from "../megabytes.ts";
import { clearErrors, fail, isAbort } from "../panels/notices.tsx";

const parameters = new URLSearchParams(location.search);

/** The model: a stored one, or the URL of a pack. At first as the address names it. */
export const modelName = signal(parameters.get("model") ?? "mini");

export type DeviceChoice = Device | "auto";
const deviceChoices: readonly unknown[] = ["auto", "webgpu", "cpu"] satisfies DeviceChoice[];
const isDevice = (choice: unknown): choice is DeviceChoice => deviceChoices.includes(choice);
const deviceKey = "glassine-device";

/** Where the model is to run: as the address says, or as was chosen at an earlier visit. */
export const device = signal<DeviceChoice>(firstDevice());

/** What this browser can do, once that is known. */
export const support = signal<Support | undefined>(undefined);
export const info = signal<EngineInfo | undefined>(undefined);

/** How far loading or making is, in words and as a share of 1. */
export interface Status {
  readonly text: string;
  readonly share: number;
}

export const status = signal<Status>({ text: "Starting", share: 0 });
/** Whether the model could not be loaded. */
export const failed = signal(false);

/** What the engine was made with. */
interface Made {
  readonly engine: Engine;
  readonly model: string;
  readonly device: DeviceChoice;
}

let made: Made | undefined;
let controller: AbortController | undefined;

/** Loads the model, in the place of the one that is loaded; says what went wrong, and fails, if it cannot. */
export async function loadModel(): Promise<Engine> {
  failed.value = false;
  clearErrors();
  info.value = undefined;
  try {
    const loaded = await load();
    status.value = { text: `Ready, on the ${deviceName(loaded.info)}`, share: 0 };
    return loaded;
  } catch (error) {
    if (isAbort(error)) throw error;
    failed.value = true;
    status.value = { text: "No model: you can still work with your own pictures", share: 0 };
    fail(error);
    throw error;
  }
}

/** The engine as it is to be now: the one that is there, or one that is made anew, on another device. */
export async function engineNow(signal: AbortSignal): Promise<Engine> {
  if (made?.model === modelName.value && made.device === device.value) return made.engine;
  const loading = load();
  const abort = (): void => controller?.abort();
  signal.addEventListener("abort", abort);
  return loading.finally(() => signal.removeEventListener("abort", abort));
}

async function load(): Promise<Engine> {
  controller?.abort();
  const own = (controller = new AbortController());
  const before = made;
  made = undefined;
  // There may not be room for both.
  await before?.engine.dispose();
  support.value ??= await checkSupport();
  if (!support.value.ok) {
    throw new GlassineError("device_unavailable", "This browser cannot run Glassine.", {
      hint: support.value.reasons.join(" "),
    });
  }
  const wanted = { model: modelName.value, device: device.value };
  const loaded = await createEngine({
    ...wanted,
    signal: own.signal,
    onProgress: (event) => (status.value = describe(event)),
  });
  made = { ...wanted, engine: loaded };
  info.value = loaded.info;
  return loaded;
}

/** Names another model, in the address too, so that it is the same when the page is loaded again. */
export function chooseModel(name: string): void {
  modelName.value = name;
  setParameter("model", name);
}

/** Takes another device, for this visit and the next: at once, or, while something is made, from the next picture on. */
export function chooseDevice(choice: DeviceChoice, isBusy: boolean): void {
  device.value = choice;
  setParameter("device", undefined);
  try {
    localStorage.setItem(deviceKey, choice);
  } catch {
    // It is chosen anew at the next visit.
  }
  if (!isBusy) void loadModel().catch(() => {});
}

function firstDevice(): DeviceChoice {
  const named = parameters.get("device");
  if (named !== null) return isDevice(named) ? named : "auto";
  try {
    const kept = localStorage.getItem(deviceKey);
    return isDevice(kept) ? kept : "auto";
  } catch {
    return "auto";
  }
}

function setParameter(name: string, value: string | undefined): void {
  const url = new URL(location.href);
  if (value === undefined) url.searchParams.delete(name);
  else url.searchParams.set(name, value);
  history.replaceState(history.state, "", url);
}

export function deviceName({ device }: EngineInfo): string {
  return device === "webgpu" ? "GPU" : "CPU";
}

export function describe(progress: Progress): Status {
  switch (progress.phase) {
    case "loading": {
      const { loadedBytes, totalBytes } = progress;
      return {
        text: `Loading the model: ${megabytes(loadedBytes)} of ${megabytes(totalBytes)} MB`,
        share: loadedBytes / totalBytes,
      };
    }
    case "encoding":
      return { text: "Reading the prompt", share: 0 };
    case "denoising":
      return { text: `Step ${progress.step} of ${progress.steps}`, share: progress.step / progress.steps };
    case "decoding":
      return { text: "Making the picture and its transparency", share: progress.pass / progress.passes };
  }
}

/** Modes in the words of the page. */
export const modeNames: Record<Mode, string> = {
  single: "A transparent layer",
  bg2fg: "In front of what is there",
  fg2bg: "Behind what is there",
  joint: "A whole scene at once",
  opaque: "An ordinary picture",
};

/** What a model lacks for a mode, in words, with the file to get. */
export function lackingFor(mode: Mode): string | undefined {
  const lacks = info.value?.missing[mode];
  if (lacks === undefined) return undefined;
  const file = /[\w.-]+\.(?:safetensors|ckpt|pth?)/.exec(lacks)?.[0];
  return file
    ? `This model cannot do that yet: it needs ${file}, one of the files that LayerDiffuse has published. Add it beside the checkpoint under Models.`
    : `This model cannot do that: it needs ${lacks}.`;
}
