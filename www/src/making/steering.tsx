// What steers the next pictures beside their prompt: LoRAs, and a picture for the model's ControlNet.

import { addFiles } from "../models/checkpoint.tsx";
import { showModels } from "../models/show.ts";
import { partOfPack } from "../models/weights.ts";
import { keepFocus } from "../panels/focus.ts";
import { Icon } from "../panels/icons.tsx";
import { fail, note } from "../panels/notices.tsx";
import { walk } from "../state/document.ts";
import { doc, titleOf } from "../state/studio.ts";
import { control, scale, source } from "./control.ts";
import { hasControlNet } from "./foretell.ts";
import { addLora, loras, removeLora, setStrength } from "./loras.ts";

/** Takes in files of weights: LoRAs for what is made next, and parts of a pack to be packed under Models. */
export async function takeWeights(files: readonly File[]): Promise<void> {
  for (const file of files) {
    const part = await partOfPack(file);
    if (!part) {
      addLora(file);
      continue;
    }
    addFiles({ files: [file], handles: new Map() }, part);
    showModels();
    const what = part === "controlnet" ? "a ControlNet" : "a checkpoint";
    note({ kind: "done", title: `${file.name} is ${what}`, text: "It becomes part of a model's pack, under Models." });
  }
}

/** What is chosen, beside the prompt. */
export function Steering() {
  const steer = hasControlNet.value ? control.value : undefined;
  if (loras.value.length === 0 && !steer) return null;
  return (
    <ul class="steering" aria-label="LoRAs and pictures that steer">
      {loras.value.map(({ id, name, strength }) => (
        <Entry
          key={id}
          name={name}
          what={`LoRA ${name}`}
          value={strength}
          range={[-1, 2]}
          onValue={(value) => setStrength(id, value)}
          onRemove={() => removeLora(id)}
        />
      ))}
      {steer && (
        <Entry
          name={sourceName()}
          what={`Picture ${sourceName()}`}
          value={steer.scale}
          range={[0, 2]}
          onValue={(value) => (scale.value = value)}
          onRemove={() => (source.value = undefined)}
        />
      )}
    </ul>
  );
}

interface EntryProps {
  readonly name: string;
  readonly what: string;
  readonly value: number;
  readonly range: readonly [number, number];
  readonly onValue: (value: number) => void;
  readonly onRemove: () => void;
}

function Entry({ name, what, value, range: [min, max], onValue, onRemove }: EntryProps) {
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

function sourceName(): string {
  const { value } = source;
  if (!value) return "";
  if ("file" in value) return value.file.name;
  const node = [...walk(doc.value.layers)].find(({ id }) => id === value.layer);
  return node ? titleOf(node) : "";
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
            accept=".safetensors"
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
        <small id="loras-hint">Or drop them here. They act on what is made from then on.</small>
      </div>
      <ControlField />
    </>
  );
}

function ControlField() {
  if (!hasControlNet.value) {
    return (
      <div class="field">
        <span>Steered by a picture</span>
        <small id="no-control">
          With a model whose pack holds a ControlNet: add one beside the checkpoint{" "}
          <button type="button" class="link" onClick={showModels}>
            under Models
          </button>
          .
        </small>
      </div>
    );
  }
  const { value } = source;
  const file = value && "file" in value ? value.file : undefined;
  const layers = [...walk(doc.value.layers)].filter(({ kind }) => kind === "picture").toReversed();
  return (
    <div class="field">
      <label for="control">Steered by a picture</label>
      <span class="with-button">
        <select
          id="control"
          value={!value ? "" : "file" in value ? "file" : value.layer}
          onChange={({ currentTarget: { value } }) => (source.value = value === "" ? undefined : { layer: value })}
        >
          <option value="">None</option>
          {file && <option value="file">{file.name}</option>}
          {layers.map((node) => (
            <option key={node.id} value={node.id}>
              Layer {titleOf(node)}
            </option>
          ))}
        </select>
        <label class="pick button">
          <input
            type="file"
            id="control-file"
            accept="image/png,image/jpeg,image/webp"
            aria-label="A picture that steers, from a file"
            onChange={({ currentTarget }) => {
              const [file] = currentTarget.files ?? [];
              if (file) source.value = { file };
              currentTarget.value = "";
            }}
          />
          <span>File</span>
        </label>
      </span>
    </div>
  );
}
