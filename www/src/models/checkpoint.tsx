// A checkpoint from the visitor's disk: the files, what each is, and how they are packed.

import { batch, signal } from "@preact/signals";
import { models, type Quantization } from "glassine/models";
import { megabytes } from "../megabytes.ts";
import { keepFocus } from "../panels/focus.ts";
import {
  bytesOf,
  type Choice,
  type FewSteps,
  findProblem,
  type PackSettings,
  recognise,
  type Role,
  roles,
  rolesFor,
  stepsOf,
  toImport,
} from "./choices.ts";
import { type Chosen, droppedFiles, lastingPicker, mayRead, read } from "./dropped.ts";
import { asNoted, forget, lacking, noted, type Packing, unfinished } from "./unfinished.ts";
import { isBusy, refresh, storage, store } from "./work.ts";

const choices = signal<readonly Choice[]>([]);
/** What leads to the chosen files at a later visit. */
let handles: ReadonlyMap<string, FileSystemHandle> = new Map();
const initial: PackSettings = { name: "", quantize: "q4", fewSteps: "", nativeTransparency: false };
const settings = signal(initial);
/** What was wrong with what was chosen last. */
const complaint = signal("");
/** What the files are chosen again for, if they are. */
const repeated = signal<Packing | undefined>(undefined);
const isOver = signal(false);

/** Takes in files, whatever they are, as the panel's own picker does. */
export function addFiles({ files, handles: lasting }: Chosen, role?: Role): void {
  const hasCheckpoint = role !== undefined || choices.value.some(({ role }) => role === "checkpoint");
  const found = recognise(files, hasCheckpoint);
  const again = repeated.value;
  const added = again ? asNoted(found, again) : role ? found.map((choice) => ({ ...choice, role })) : found;
  handles = new Map([...handles, ...lasting]);
  change([...choices.value, ...added]);
  if (added.length === 0) complaint.value = "There is neither a .safetensors or .ckpt file nor a model's folder in that.";
  void refresh();
}

/** Few steps are for a LoRA that was made for them. */
function change(next: readonly Choice[]): void {
  batch(() => {
    choices.value = next;
    complaint.value = "";
    if (!repeated.value) set({ fewSteps: stepsOf(next) });
  });
}

function set(more: Partial<PackSettings>): void {
  settings.value = { ...settings.value, ...more };
}

function update(choice: Choice, more: Partial<Choice>): void {
  change(choices.value.map((each) => (each === choice ? { ...each, ...more } : each)));
}

async function choose(picking: Promise<Chosen>): Promise<void> {
  try {
    addFiles(await picking);
  } catch (error) {
    const isLeft = error instanceof DOMException && error.name === "AbortError";
    if (!isLeft) complaint.value = `What was chosen could not be read: ${String(error)}`;
  }
}

/** Packs and stores what is chosen. Unless that succeeds, the choices stay. */
async function importChoices(): Promise<void> {
  const [chosen, how] = [choices.value, settings.value];
  const { checkpoint, options: parts } = toImport(chosen, how);
  repeated.value = undefined;
  await forget().catch(console.warn);
  const isStored = await store(checkpoint, how.name || undefined, (name, options) =>
    noted(chosen, { ...how, name }, handles, () => models.import(checkpoint, { ...parts, ...options, name })),
  );
  if (!isStored) return;
  batch(() => {
    set(initial);
    change([]);
  });
}

/** Starts a packing again that was cut off: at once where its files can be read again, else once they are chosen. */
async function startAgain(packing: Packing): Promise<void> {
  batch(() => {
    choices.value = [];
    complaint.value = "";
    repeated.value = packing;
    settings.value = packing.settings;
  });
  if (packing.handles.length === 0) return document.querySelector<HTMLElement>("#checkpointForm [name=files]")?.click();
  try {
    if (!(await mayRead(packing.handles))) {
      complaint.value = "The browser was not allowed to read the files. Choose them again.";
      return;
    }
    addFiles(await read(packing.handles));
  } catch (error) {
    complaint.value = `The files are not where they were: ${String(error)}. Choose them again.`;
    return;
  }
  if (problem() === undefined) await importChoices();
}

/** Why what is chosen cannot be imported; undefined if it can. */
function problem(): string | undefined {
  const missing = repeated.value ? lacking(choices.value, repeated.value) : [];
  return missing.length > 0 ? `Still to be chosen: ${missing.join(", ")}.` : findProblem(choices.value);
}

export function CheckpointForm() {
  return (
    <form
      id="checkpointForm"
      autocomplete="off"
      onSubmit={(event) => {
        event.preventDefault();
        void importChoices();
      }}
      onDragOver={(event) => {
        if (!canTake(event)) return;
        event.preventDefault();
        isOver.value = true;
      }}
      onDragLeave={() => (isOver.value = false)}
      onDrop={(event) => {
        if (!canTake(event)) return;
        event.preventDefault();
        isOver.value = false;
        void choose(droppedFiles(event.dataTransfer));
      }}
    >
      <h3>From your disk</h3>
      <Unfinished />
      <label class={`drop ${isOver.value ? "over" : ""}`}>
        <FilePicker what="files" />
        <span>
          <strong>Drop a Stable Diffusion 1.5 checkpoint here, or choose files</strong>
          <small id="dropHint">
            A .safetensors or .ckpt file, or a diffusers folder. For transparent pictures add LayerDiffuse's
            layer_sd15_vae_transparent_decoder and layer_sd15_transparent_attn. Nothing leaves this page.
          </small>
        </span>
      </label>
      <label class="folder">
        <FilePicker what="folder" />
        <span class="button">Choose a folder</span>
      </label>
      <ul id="choices" aria-label="Files to import">
        {choices.value.map((choice, index) => (
          <Row key={`${choice.path} ${index}`} choice={choice} />
        ))}
      </ul>
      <p id="choicesNote" role="status">
        {complaint.value || note()}
      </p>
      <Packing />
    </form>
  );
}

/** Whether files are dragged; text can be dropped into fields. */
function canTake(event: DragEvent): event is DragEvent & { dataTransfer: DataTransfer } {
  return event.dataTransfer?.types.includes("Files") === true && !isBusy.value;
}

/** An input for files; where the browser has a picker whose choice lasts, that one opens. */
function FilePicker({ what }: { what: "files" | "folder" }) {
  const pick = lastingPicker(what);
  return (
    <input
      name={what}
      type="file"
      multiple={what === "files"}
      {...(what === "folder" && { webkitdirectory: true })}
      aria-describedby={what === "files" ? "dropHint" : undefined}
      onClick={(event) => {
        if (!pick) return;
        event.preventDefault();
        void choose(pick());
      }}
      onChange={({ currentTarget }) => {
        addFiles({ files: [...(currentTarget.files ?? [])], handles: new Map() });
        // The same files can be chosen again after they were removed.
        currentTarget.value = "";
      }}
    />
  );
}

/** What is left of a packing that was cut off, and how to go on. */
function Unfinished() {
  const packing = unfinished.value;
  if (!packing) return null;
  const names = packing.choices.map(({ name }) => name);
  return (
    <div class="unfinished" id="unfinished">
      <p>
        Packing <b>{packing.settings.name}</b> was cut off, and nothing of it is stored. It can be started again, from{" "}
        {names.join(", ")}.
      </p>
      <div class="actions">
        <button type="button" onClick={() => void startAgain(packing)}>
          {packing.handles.length > 0 ? "Start again" : "Choose the files again"}
        </button>
        <button
          type="button"
          onClick={() => {
            repeated.value = undefined;
            void forget().catch(console.warn);
            keepFocus("#checkpointForm [name=files]");
          }}
        >
          Forget it
        </button>
      </div>
    </div>
  );
}

function Row({ choice }: { choice: Choice }) {
  const { name, files, isFolder, role, strength } = choice;
  const isLora = role === "lora";
  return (
    <li>
      <span>
        <b>{name}</b>{" "}
        <small>
          {isFolder ? `folder of ${files.length} files, ` : ""}
          {megabytes(bytesOf(files))} MB
        </small>
      </span>
      <select
        name="role"
        aria-label={`What ${name} is`}
        value={role}
        onChange={({ currentTarget }) => update(choice, { role: currentTarget.value as Role })}
      >
        {rolesFor(choice).map((role) => (
          <option key={role} value={role}>
            {roles[role]}
          </option>
        ))}
      </select>
      <label class="strength" hidden={!isLora}>
        Strength{" "}
        <input
          name="strength"
          type="number"
          min="-2"
          max="2"
          step="any"
          required
          disabled={!isLora}
          value={strength}
          onChange={({ currentTarget }) => update(choice, { strength: currentTarget.valueAsNumber })}
        />
      </label>
      <button
        type="button"
        aria-label={`Remove ${name} from the files`}
        onClick={() => {
          // It is not what it was, then, and need not be.
          repeated.value = undefined;
          change(choices.value.filter((each) => each !== choice));
          keepFocus("#checkpointForm [name=files]");
        }}
      >
        Remove
      </button>
    </li>
  );
}

/** What can be done with the choices. */
function note(): string {
  if (choices.value.length === 0 && !repeated.value) return "";
  const read = choices.value.flatMap(({ role, files }) => (role === "unused" ? [] : files));
  return problem() ?? `${megabytes(bytesOf(read))} MB will be read.`;
}

function Packing() {
  const { name, quantize, fewSteps, nativeTransparency } = settings.value;
  const checkpoint = choices.value.find(({ role }) => role === "checkpoint");
  const { usage = 0, quota = 0 } = storage.value ?? {};
  return (
    <div id="packing" hidden={choices.value.length === 0}>
      <label class="field">
        <span>Keep the weights in</span>
        <select
          name="quantize"
          value={quantize}
          onChange={({ currentTarget }) => set({ quantize: currentTarget.value as Quantization })}
        >
          <option value="q4">4 bits (q4), the smallest</option>
          <option value="q8">8 bits (q8)</option>
          <option value="f16">16 bits (f16), the most exact</option>
        </select>
      </label>
      <label class="field">
        <span>Steps that the model is for</span>
        <select
          name="fewSteps"
          value={fewSteps}
          onChange={({ currentTarget }) => set({ fewSteps: currentTarget.value as FewSteps })}
        >
          <option value="">20, as Stable Diffusion 1.5</option>
          <option value="lcm">4, with an LCM LoRA among the files</option>
          <option value="tcd">4, with a TCD LoRA among the files</option>
        </select>
      </label>
      <label class="field">
        <span>Name, if not the checkpoint's own</span>
        <input
          name="name"
          type="text"
          maxLength={64}
          placeholder={checkpoint?.name.replace(/\.\w+$/, "") ?? ""}
          value={name}
          onInput={({ currentTarget }) => set({ name: currentTarget.value })}
        />
      </label>
      <label class="check">
        <input
          type="checkbox"
          name="nativeTransparency"
          checked={nativeTransparency}
          aria-describedby="nativeHint"
          onChange={({ currentTarget }) => set({ nativeTransparency: currentTarget.checked })}
        />
        <span>Native transparency</span>
      </label>
      <p id="nativeHint">
        For a checkpoint that was itself trained on transparent pictures: it needs a transparency decoder, and no adapter
        for a transparent picture. Leave it off for all that are published for Stable Diffusion 1.5.
      </p>
      <button type="submit" disabled={problem() !== undefined}>
        Import
      </button>
      <p id="room">{quota > 0 && `The browser says that it has room for ${megabytes(quota - usage)} MB.`}</p>
    </div>
  );
}
