// Importing a checkpoint from the visitor's disk: the files, what each is, and how they are packed.

import { models, type Quantization, type StorageOptions, type StoredModel } from "glassine/models";
import { bytesOf, type Choice, findProblem, recognise, type Role, roles, toImport } from "./choices.ts";
import { droppedFiles } from "./dropped.ts";
import { store } from "./models.ts";
import { part } from "./page.ts";
import { megabytes } from "./megabytes.ts";

const form = part(document, "#checkpointForm", HTMLFormElement);
const dropZone = part(form, ".drop", HTMLElement);
const filesInput = part(form, "[name=files]", HTMLInputElement);
const folderInput = part(form, "[name=folder]", HTMLInputElement);
const list = part(form, "#choices", HTMLUListElement);
const template = part(document, "#choice", HTMLTemplateElement);
const settings = part(form, "#packing", HTMLElement);
const nameInput = part(form, "[name=name]", HTMLInputElement);
const quantizeSelect = part(form, "[name=quantize]", HTMLSelectElement);
const stepsSelect = part(form, "[name=fewSteps]", HTMLSelectElement);
const importButton = part(form, "[type=submit]", HTMLButtonElement);
const room = part(form, "#room", HTMLElement);
const note = part(form, "#choicesNote", HTMLElement);

const rows = new Map<Choice, HTMLLIElement>();

function add(files: readonly File[]): void {
  const hasCheckpoint = [...rows.keys()].some(({ role }) => role === "checkpoint");
  const choices = recognise(files, hasCheckpoint);
  for (const choice of choices) {
    const row = newRow(choice);
    rows.set(choice, row);
    list.append(row);
  }
  suggestSteps([...rows.keys()]);
  showChoices();
  if (choices.length === 0) note.textContent = "There is neither a .safetensors or .ckpt file nor a model's folder in that.";
  void showRoom();
}

function newRow(choice: Choice): HTMLLIElement {
  const row = part(template.content, "li", HTMLLIElement).cloneNode(true) as HTMLLIElement;
  const count = choice.isFolder ? `folder of ${choice.files.length} files, ` : "";
  part(row, "b", HTMLElement).textContent = choice.name;
  part(row, "small", HTMLElement).textContent = `${count}${megabytes(bytesOf(choice.files))} MB`;

  const strength = part(row, "[name=strength]", HTMLInputElement);
  strength.addEventListener("input", () => (choice.strength = strength.valueAsNumber));
  const role = part(row, "[name=role]", HTMLSelectElement);
  role.append(...rolesFor(choice).map((role) => new Option(roles[role], role)));
  role.value = choice.role;
  role.setAttribute("aria-label", `What ${choice.name} is`);
  role.addEventListener("change", () => {
    choice.role = role.value as Role;
    const isLora = choice.role === "lora";
    part(row, ".strength", HTMLElement).hidden = !isLora;
    strength.disabled = !isLora;
    suggestSteps([...rows.keys()]);
    showChoices();
  });

  const remove = part(row, "button", HTMLButtonElement);
  remove.setAttribute("aria-label", `Remove ${choice.name} from the files`);
  remove.addEventListener("click", () => {
    removeChoice(choice);
    filesInput.focus();
  });
  return row;
}

function rolesFor({ isFolder }: Choice): Role[] {
  if (isFolder) return ["checkpoint", "controlnet", "unused"];
  return (Object.keys(roles) as Role[]).filter((role) => role !== "controlnet");
}

function removeChoice(choice: Choice): void {
  rows.get(choice)?.remove();
  rows.delete(choice);
  suggestSteps([...rows.keys()]);
  showChoices();
}

/** Shows what can be done with the choices. */
function showChoices(): void {
  const choices = [...rows.keys()];
  const problem = findProblem(choices);
  const checkpoint = choices.find(({ role }) => role === "checkpoint");
  settings.hidden = choices.length === 0;
  importButton.disabled = problem !== undefined;
  nameInput.placeholder = checkpoint?.name.replace(/\.\w+$/, "") ?? "";
  note.textContent = choices.length === 0 ? "" : (problem ?? `${megabytes(bytesToRead(choices))} MB will be read.`);
}

function bytesToRead(choices: readonly Choice[]): number {
  return bytesOf(choices.flatMap(({ role, files }) => (role === "unused" ? [] : files)));
}

async function showRoom(): Promise<void> {
  const { usage, quota } = await models.estimate();
  room.textContent = `The browser says that it has room for ${megabytes(quota - usage)} MB.`;
}

/** Few steps are for a LoRA that was made for them, which its name usually says. */
function suggestSteps(choices: readonly Choice[]): void {
  const names = choices.flatMap(({ role, name }) => (role === "lora" ? [name] : []));
  const kind = /(?<![a-z])(lcm|tcd)(?![a-z])/i.exec(names.join("\n"))?.[1];
  stepsSelect.value = kind?.toLowerCase() ?? "";
}

/** Packs and stores what is chosen. Unless that succeeds, the choices stay. */
async function importChoices(options: StorageOptions): Promise<StoredModel> {
  const { checkpoint, options: parts } = toImport([...rows.keys()]);
  const model = await models.import(checkpoint, {
    ...parts,
    ...options,
    name: nameInput.value || undefined,
    quantize: quantizeSelect.value as Quantization,
    defaults: stepsSelect.value === "" ? {} : { steps: 4, guidance: 1, sampler: stepsSelect.value as "lcm" | "tcd" },
  });
  for (const choice of rows.keys()) removeChoice(choice);
  nameInput.value = "";
  return model;
}

/** Whether files are dragged; text can be dropped into fields. */
function canTake(event: DragEvent): event is DragEvent & { dataTransfer: DataTransfer } {
  return event.dataTransfer?.types.includes("Files") === true && !filesInput.matches(":disabled");
}

for (const input of [filesInput, folderInput]) {
  input.addEventListener("change", () => {
    add([...(input.files ?? [])]);
    // The same files can be chosen again after they were removed.
    input.value = "";
  });
}
form.addEventListener("dragover", (event) => {
  if (!canTake(event)) return;
  event.preventDefault();
  dropZone.classList.add("over");
});
form.addEventListener("dragleave", () => dropZone.classList.remove("over"));
form.addEventListener("drop", (event) => {
  if (!canTake(event)) return;
  event.preventDefault();
  dropZone.classList.remove("over");
  droppedFiles(event.dataTransfer).then(add, (error: unknown) => {
    note.textContent = `What was dropped could not be read: ${String(error)}`;
  });
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  void store(importChoices);
});
