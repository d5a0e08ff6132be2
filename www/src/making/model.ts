// The model that makes the pictures: it is loaded while the page is at work already.

import { batch, signal } from "@preact/signals";
import {
  checkSupport,
  createEngine,
  type Engine,
  type EngineInfo,
  GlassineError,
  type Mode,
  type Progress,
} from "glassine";
import { megabytes } from "../megabytes.ts";
import { clearErrors, fail } from "../panels/notices.tsx";

const parameters = new URLSearchParams(location.search);

/** The model as the address names it: a stored one, or the URL of a pack. */
export const modelName = parameters.get("model") ?? "mini";
export const engine = signal<Engine | undefined>(undefined);
export const info = signal<EngineInfo | undefined>(undefined);

/** How far loading or making is, in words and as a share of 1. */
export interface Status {
  readonly text: string;
  readonly share: number;
}

export const status = signal<Status>({ text: "Starting", share: 0 });
/** Whether the model could not be loaded. */
export const failed = signal(false);

/** Loads the model; says what went wrong, and fails, if it cannot. */
export async function loadModel(): Promise<Engine> {
  failed.value = false;
  clearErrors();
  try {
    const support = await checkSupport();
    if (!support.ok) {
      throw new GlassineError("device_unavailable", "This browser cannot run Glassine.", {
        hint: support.reasons.join(" "),
      });
    }
    const loaded = await createEngine({
      model: modelName,
      device: device(),
      onProgress: (event) => (status.value = describe(event)),
    });
    status.value = { text: `Ready, on the ${deviceName(loaded.info)}`, share: 0 };
    batch(() => {
      engine.value = loaded;
      info.value = loaded.info;
    });
    return loaded;
  } catch (error) {
    failed.value = true;
    status.value = { text: "No model: you can still work with your own pictures", share: 0 };
    fail(error);
    throw error;
  }
}

function device(): "webgpu" | "cpu" | "auto" {
  const device = parameters.get("device");
  return device === "webgpu" || device === "cpu" ? device : "auto";
}

function deviceName({ device }: EngineInfo): string {
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
