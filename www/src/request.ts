// The form: what the model can be asked for, and what is asked.

import type { EngineInfo, GenerateOptions, Mode } from "glassine";
import { dice, fields, form, lacking } from "./page.ts";

const modeNames: Record<Mode, string> = {
  single: "A transparent picture",
  opaque: "An ordinary picture",
  joint: "Foreground and background together",
  fg2bg: "A background for a foreground",
  bg2fg: "A foreground for a background",
};

/** Fills the form with what the model can do, and does by itself. `steps` is what the address says. */
export function offer(info: EngineInfo, steps: string | null): void {
  fields.mode.replaceChildren(...info.modes.map((mode) => new Option(modeNames[mode], mode)));
  lacking.hidden = Object.keys(info.missing).length === 0;
  lacking.querySelector("dl")?.replaceChildren(
    ...Object.entries(info.missing).flatMap(([mode, part]) => [
      element("dt", modeNames[mode as Mode]),
      element("dd", `needs ${part}`),
    ]),
  );
  fields.size.replaceChildren(...sizes(info).map(([w, h]) => new Option(`${w} × ${h}`, `${w}x${h}`)));
  fields.steps.max = String(Math.max(50, info.defaults.steps));
  fields.steps.value = steps ?? String(info.defaults.steps);
  fields.guidance.value = String(info.defaults.guidance);
  showFields();
}

function sizes({ defaults: { width, height }, sizeMultiple }: EngineInfo): [number, number][] {
  const longer = (side: number): number => Math.max(1, Math.round((side * 1.5) / sizeMultiple)) * sizeMultiple;
  return [
    [width, height],
    [width, longer(height)],
    [longer(width), height],
    [longer(width), longer(height)],
  ];
}

/** What the visitor asks for. */
export function readRequest(): GenerateOptions {
  const data = new FormData(form);
  const text = (name: string): string | undefined => String(data.get(name) ?? "").trim() || undefined;
  const picture = (name: string): File | undefined => {
    const file = data.get(name);
    return file instanceof File && file.size > 0 ? file : undefined;
  };
  const [width, height] = readSize();
  const init = picture("init");
  return {
    ...readAddition(),
    mode: fields.mode.value as Mode,
    width,
    height,
    foregroundPrompt: text("foregroundPrompt"),
    backgroundPrompt: text("backgroundPrompt"),
    blendedPrompt: text("blendedPrompt"),
    foreground: picture("foreground"),
    background: picture("background"),
    ...(init && { init, strength: fields.strength.valueAsNumber }),
    fit: true,
  };
}

/** Width and height. */
export function readSize(): [number, number] {
  const [width = 0, height = 0] = fields.size.value.split("x").map(Number);
  return [width, height];
}

/** As much of it as a layer that is added to a scene needs. */
export function readAddition() {
  return {
    prompt: fields.prompt.value.trim(),
    seed: fields.seed.valueAsNumber,
    steps: fields.steps.valueAsNumber,
    guidance: fields.guidance.valueAsNumber,
    previewEvery: 1,
  };
}

/** Shows the fields of the chosen mode, and the numbers of the sliders. Fields that are not there are not sent. */
function showFields(): void {
  for (const label of form.querySelectorAll<HTMLLabelElement>("[data-modes]")) {
    label.hidden = !label.dataset["modes"]?.split(" ").includes(fields.mode.value);
    const control = label.control;
    if (control instanceof HTMLInputElement) control.disabled = label.hidden;
  }
  fields.stepsShown.value = fields.steps.value;
  fields.guidanceShown.value = fields.guidance.value;
  fields.strengthShown.value = fields.strength.value;
}

function element(name: string, text: string): HTMLElement {
  const element = document.createElement(name);
  element.textContent = text;
  return element;
}

form.addEventListener("input", showFields);
dice.addEventListener("click", () => {
  fields.seed.value = String(crypto.getRandomValues(new Uint32Array(1))[0]);
});
