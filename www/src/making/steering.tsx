// What steers the next pictures beside their prompt: LoRAs, and pictures for ControlNets.

import type { ComponentChildren } from "preact";
import { GlassineError } from "glassine";
import type { ShelfFile } from "glassine/models";
import { addFiles } from "../models/checkpoint.tsx";
import { keep, shelf } from "../models/shelf.ts";
import { showModels } from "../models/show.ts";
import { kindOf } from "../models/weights.ts";
import { settingsOpen } from "../panels/dialogs.ts";
import { keepFocus } from "../panels/focus.ts";
import { Icon } from "../panels/icons.tsx";
import { attempt, fail, note } from "../panels/notices.tsx";
import { active, addVisiting, changeControl, nameOf, removeControl } from "./control.ts";
import { ControlField } from "./control-field.tsx";
import { addFile, addLora, chosenOf, type Lora, loras, onShelf, removeLora, setStrength } from "./loras.ts";
import { writeIntoPrompt } from "./prompt.tsx";
import { settings } from "./settings.ts";

/** Takes in files of weights: for the shelf, and checkpoints to be packed under Models. */
export async function takeWeights(files: readonly File[]): Promise<void> {
  for (const file of files) {
    const kind = await kindOf(file);
    if (kind === "checkpoint") takeCheckpoint(file);
    else await attempt(`Putting ${file.name} on the shelf`, (signal) => shelve(file, kind, signal));
  }
}

function takeCheckpoint(file: File): void {
  addFiles({ files: [file], handles: new Map() }, "checkpoint");
  showModels();
  note({ kind: "done", title: `${file.name} is a checkpoint`, text: "It becomes part of a model's pack, under Models." });
}

/** Puts a file on the shelf, and has it used. */
async function shelve(file: File, kind: "controlnet" | undefined, signal: AbortSignal): Promise<void> {
  try {
    const kept = await keep(file, signal);
    if (kept.kind === "lora" && !chosenOf(kept.name)) use(kept);
    if (kept.kind === "embedding") offerWord(kept);
    if (kept.kind === "controlnet") offerSteering(kept);
  } catch (error) {
    const { code } = error instanceof GlassineError ? error : {};
    const isFull = code === "quota_exceeded" || code === "storage_unavailable";
    // Files of PyTorch's may be checkpoints, which only a look into them tells.
    if (code === "model_unsupported" && !/\.safetensors$/i.test(file.name)) return takeCheckpoint(file);
    if (!isFull || !/\.safetensors$/i.test(file.name)) throw error;
    if (kind === "controlnet") addVisiting(file);
    else addFile(file);
    note({ kind: "warning", title: `${file.name} is here for this visit only`, text: `${(error as GlassineError).message}.` });
  }
}

function use({ name }: ShelfFile): void {
  addLora({ name, file: name, strength: 1 });
}

function offerWord({ name }: ShelfFile): void {
  note({
    kind: "offer",
    title: `The embedding ${name} is on the shelf`,
    text: "In a prompt its name stands for it.",
    action: { label: "Write it into the prompt", run: () => writeIntoPrompt(name) },
  });
}

function offerSteering({ name }: ShelfFile): void {
  const title = `The ControlNet ${name} is on the shelf`;
  const misfit = onShelf(name)?.misfit;
  if (misfit) return note({ kind: "warning", title, text: `It does not fit this model: ${misfit}.` });
  const run = (): void => {
    settingsOpen.value = true;
    keepFocus("#control");
  };
  note({
    kind: "offer",
    title,
    text: "It steers by a picture, with every model that it fits.",
    action: { label: "Choose a picture for it", run },
  });
}

/** What is chosen, beside the prompt. */
export function Steering() {
  if (loras.value.length === 0 && active.value.length === 0) return null;
  return (
    <ul class="steering" aria-label="LoRAs and pictures that steer">
      {loras.value.map((lora) => (
        <LoraEntry key={lora.id} lora={lora} />
      ))}
      {active.value.map((control) => (
        <Entry
          key={control.id}
          name={nameOf(control)}
          what={`Picture ${nameOf(control)}`}
          value={control.scale}
          range={[0, 2]}
          onValue={(scale) => changeControl(control.id, (now) => ({ ...now, scale }))}
          onRemove={() => removeControl(control.id)}
        />
      ))}
    </ul>
  );
}

function LoraEntry({ lora: { id, name, file, strength } }: { lora: Lora }) {
  const kept = typeof file === "string" ? onShelf(file) : undefined;
  const prompt = settings.value?.prompt.toLowerCase() ?? "";
  const words = kept?.triggerWords.filter((word) => !prompt.includes(word.toLowerCase())).slice(0, mostWords) ?? [];
  return (
    <Entry
      name={name}
      what={`LoRA ${name}`}
      value={strength}
      range={[-1, 2]}
      onValue={(value) => setStrength(id, value)}
      onRemove={() => removeLora(id)}
    >
      {words.map((word) => (
        <button
          key={word}
          type="button"
          class="word"
          aria-label={`Write ${word} into the prompt`}
          title="It calls for what the LoRA was taught: write it into the prompt"
          onClick={() => writeIntoPrompt(word)}
        >
          + {word}
        </button>
      ))}
      {kept?.misfit && <small class="misfit">does not fit this model: {kept.misfit}</small>}
    </Entry>
  );
}

/** The most trigger words that are offered at a time. */
const mostWords = 4;

interface EntryProps {
  readonly name: string;
  readonly what: string;
  readonly value: number;
  readonly range: readonly [number, number];
  readonly onValue: (value: number) => void;
  readonly onRemove: () => void;
  readonly children?: ComponentChildren;
}

function Entry({ name, what, value, range: [min, max], onValue, onRemove, children }: EntryProps) {
  return (
    <li class="chip">
      <span>{name}</span>
      <input
        type="range"
        aria-label={`Strength of ${what}`}
        min={min}
        max={max}
        step="0.05"
        value={value}
        onInput={({ currentTarget }) => onValue(currentTarget.valueAsNumber)}
      />
      <output>{value}</output>
      {children}
      <button
        type="button"
        class="ghost"
        aria-label={`Without ${what}`}
        title="Without it"
        onClick={() => {
          onRemove();
          keepFocus("[name=prompt]");
        }}
      >
        <Icon name="close" />
      </button>
    </li>
  );
}

/** How they are chosen. */
export function SteeringFields() {
  return (
    <>
      <div class="field">
        <span id="loras-label">LoRAs</span>
        <label class="pick button">
          <input
            type="file"
            id="loras"
            accept=".safetensors,.pt,.bin"
            multiple
            aria-labelledby="loras-label loras-pick"
            aria-describedby="loras-hint"
            onChange={({ currentTarget }) => {
              takeWeights([...(currentTarget.files ?? [])]).catch(fail);
              currentTarget.value = "";
            }}
          />
          <span id="loras-pick">Choose files</span>
        </label>
        <small id="loras-hint">Or drop them here. They act on what is made from then on, and stay on the shelf.</small>
        <ShelfOffers />
      </div>
      <ControlField onFiles={(files) => void takeWeights(files).catch(fail)} />
    </>
  );
}

/** What the shelf has for prompts. */
function ShelfOffers() {
  const offered = shelf.value.filter(({ kind }) => kind !== "controlnet");
  if (offered.length === 0) return null;
  return (
    <ul id="shelfOffers" aria-label="On the shelf">
      {offered.map((file) => (
        <Offer key={file.sha256} file={file} />
      ))}
    </ul>
  );
}

function Offer({ file }: { file: ShelfFile }) {
  const { name, kind, triggerWords, misfit } = file;
  const chosen = kind === "lora" ? chosenOf(name) : undefined;
  const notes = misfit ? `Does not fit this model: ${misfit}` : kind === "embedding" ? "A word for prompts" : triggerWords.join(", ");
  return (
    <li>
      <button
        type="button"
        aria-pressed={kind === "lora" ? chosen !== undefined : undefined}
        aria-label={kind === "lora" ? `LoRA ${name}` : `Write the embedding ${name} into the prompt`}
        disabled={misfit !== undefined}
        onClick={() => (kind === "embedding" ? writeIntoPrompt(name) : chosen ? removeLora(chosen.id) : use(file))}
      >
        {name}
      </button>
      {notes && <small class={misfit ? "misfit" : ""}>{notes}</small>}
    </li>
  );
}
