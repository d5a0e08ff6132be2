// The panel of models: what is stored, importing by URL, verifying, removing. Importing from
// the visitor's disk is in checkpoint.ts.

import { GlassineError } from "glassine";
import { models, type StorageOptions, type StorageProgress, type StoredModel } from "glassine/models";
import "./models.css";
import { showError } from "./show-error.ts";
import { megabytes } from "./megabytes.ts";

const panel = document.querySelector<HTMLDetailsElement>("#models")!;
const list = panel.querySelector<HTMLUListElement>("#modelList")!;
const form = panel.querySelector<HTMLFormElement>("#importForm")!;
const work = panel.querySelector<HTMLFieldSetElement>("#modelWork")!;
const progressBar = panel.querySelector<HTMLProgressElement>("#modelProgress")!;
const statusText = panel.querySelector<HTMLElement>("#modelStatus")!;
const cancelButton = panel.querySelector<HTMLButtonElement>("#modelCancel")!;
const errorBox = panel.querySelector<HTMLElement>("#modelError")!;
const storageText = panel.querySelector<HTMLElement>("#storage")!;

let controller: AbortController | undefined;

/** Does one thing at a time, shows how far it is, and what came of it. */
async function run(task: (options: StorageOptions) => Promise<string>): Promise<void> {
  if (controller) return;
  controller = new AbortController();
  setBusy(true);
  errorBox.hidden = true;
  setStatus("Starting", 0);
  statusText.scrollIntoView({ block: "nearest" });
  try {
    setStatus(await task({ signal: controller.signal, onProgress: showProgress }), 0);
  } catch (error) {
    const aborted = error instanceof GlassineError && error.code === "aborted";
    setStatus(aborted ? "Cancelled" : "", 0);
    if (!aborted) showError(errorBox, error);
  } finally {
    controller = undefined;
    setBusy(false);
    await refresh();
  }
}

/** Imports a model in one way or another, and says that it is there. */
export async function store(importModel: (options: StorageOptions) => Promise<StoredModel>): Promise<void> {
  await run(async (options) => {
    const { name } = await importModel(options);
    return `${name} is stored: it works without a network`;
  });
}

async function importPack(url: string, name?: string): Promise<void> {
  await store((options) => models.import(url, { name, ...options }));
}

async function verify(name: string, repair: boolean): Promise<void> {
  await run(async (options) => {
    const { intact, missing, damaged } = await models.verify(name, { repair, ...options });
    const found = missing.length + damaged.length;
    if (!intact) return `${name}: ${[...missing, ...damaged].join(", ")} must be repaired`;
    return found > 0 ? `${name} is whole again` : `${name} is whole`;
  });
}

async function remove(name: string): Promise<void> {
  await run(async ({ signal }) => {
    await models.remove(name, { signal });
    return `${name} is removed`;
  });
}

/** Shows what is stored; where that cannot be found out, why. */
async function refresh(): Promise<void> {
  await showStored().catch((error: unknown) => showError(errorBox, error));
}

async function showStored(): Promise<void> {
  list.replaceChildren(...(await models.list()).map(row));
  const { usage, quota, persisted } = await models.estimate();
  const kept = persisted ? "keeps that" : "may remove that when the disk is full";
  storageText.textContent = `This page stores ${megabytes(usage)} of ${megabytes(quota)} MB. The browser ${kept}.`;
}

function row(model: StoredModel): HTMLLIElement {
  const { name, bytes, builtIn, complete, origin } = model;
  const label = document.createElement("span");
  const note = document.createElement("small");
  note.textContent = ` ${megabytes(bytes)} MB${builtIn ? ", part of this page" : complete ? "" : ", not complete"}`;
  label.append(name, note);

  const item = document.createElement("li");
  item.append(label);
  if (complete) item.append(useLink(name));
  if (complete && !builtIn) {
    item.append(button("Verify", name, () => verify(name, false)), button("Repair", name, () => verify(name, true)));
  }
  if (!complete && origin !== undefined) item.append(button("Resume", name, () => importPack(origin, name)));
  if (!builtIn) item.append(button("Remove", name, () => remove(name)));
  return item;
}

/** Opens the page with this model. */
function useLink(name: string): HTMLAnchorElement {
  const link = document.createElement("a");
  link.className = "button";
  link.href = `?${new URLSearchParams({ model: name })}`;
  link.textContent = "Use";
  link.setAttribute("aria-label", `Use ${name}`);
  return link;
}

function button(text: string, name: string, act: () => Promise<void>): HTMLButtonElement {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = text;
  button.setAttribute("aria-label", `${text} ${name}`);
  button.addEventListener("click", () => void act());
  return button;
}

function showProgress(progress: StorageProgress): void {
  switch (progress.phase) {
    case "waiting":
      return setStatus("Another tab is storing this model", 0);
    case "checking": {
      const { checkedBytes, totalBytes } = progress;
      return setStatus(`Checking ${megabytes(checkedBytes)} of ${megabytes(totalBytes)} MB`, checkedBytes / totalBytes);
    }
    case "downloading": {
      const { loadedBytes, totalBytes } = progress;
      return setStatus(`${megabytes(loadedBytes)} of ${megabytes(totalBytes)} MB are here`, loadedBytes / totalBytes);
    }
    case "packing": {
      const { loadedBytes, totalBytes } = progress;
      return setStatus(`Packing ${megabytes(loadedBytes)} of ${megabytes(totalBytes)} MB`, loadedBytes / totalBytes);
    }
  }
}

function setStatus(text: string, share: number): void {
  statusText.textContent = text;
  progressBar.value = share;
}

function setBusy(busy: boolean): void {
  work.disabled = busy;
  cancelButton.hidden = !busy;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const data = new FormData(form);
  void importPack(String(data.get("url")), String(data.get("name")) || undefined);
});
cancelButton.addEventListener("click", () => controller?.abort());
panel.addEventListener("toggle", () => void refresh());
