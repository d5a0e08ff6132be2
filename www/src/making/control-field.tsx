// How pictures that steer are chosen, and what each is to do.

import { useEffect, useRef, useState } from "preact/hooks";
import { settingsOpen } from "../panels/dialogs.ts";
import { keepFocus } from "../panels/focus.ts";
import { Icon } from "../panels/icons.tsx";
import { attempt } from "../panels/notices.tsx";
import { type Control, inSteps, type Look, type Steering } from "../state/controls.ts";
import { walk } from "../state/document.ts";
import { addPicture } from "../state/pictures.ts";
import { doc, titleOf } from "../state/studio.ts";
import { addControl, changeControl, controlNets, controls, isBlank, nameOf, removeControl } from "./control.ts";
import { startDrawing } from "./drawing.ts";
import { fitted, originOf, seen } from "./seen.ts";
import { next } from "./settings.ts";
import { percent } from "./steered.ts";

interface FieldProps {
  /** Takes in the files of ControlNets. */
  readonly onFiles: (files: readonly File[]) => void;
}

export function ControlField({ onFiles }: FieldProps) {
  const misfits = controlNets.value.filter(({ misfit }) => misfit !== undefined);
  const isPossible = controlNets.value.length > misfits.length;
  return (
    <div class={controls.value.length > 0 ? "field wide" : "field"}>
      <span id="control-label">Steered by pictures</span>
      {isPossible ? <Choose /> : <Lacking onFiles={onFiles} />}
      {misfits.map(({ id, name, misfit }) => (
        <small key={id} class="misfit">
          The ControlNet {name} does not fit this model: {misfit}
        </small>
      ))}
      {controls.value.length > 0 && (
        <ul class="controls" aria-labelledby="control-label">
          {controls.value.map((control) => (
            <Item key={control.id} control={control} />
          ))}
        </ul>
      )}
    </div>
  );
}

function Lacking({ onFiles }: FieldProps) {
  return (
    <>
      <label class="pick button">
        <input
          type="file"
          id="controlnets"
          accept=".safetensors,.pt,.pth,.bin"
          multiple
          aria-labelledby="control-label controlnets-pick"
          aria-describedby="no-control"
          onChange={({ currentTarget }) => {
            onFiles([...(currentTarget.files ?? [])]);
            currentTarget.value = "";
          }}
        />
        <span id="controlnets-pick">Choose files</span>
      </label>
      <small id="no-control">Or drop a ControlNet's file here: it stays on the shelf, for models that it fits.</small>
    </>
  );
}

function Choose() {
  const layers = [...walk(doc.value.layers)].filter(({ kind }) => kind === "picture").toReversed();
  const size = next.value?.size;
  return (
    <span class="with-button">
      <select
        id="control"
        aria-label="Add a layer that steers"
        value=""
        onChange={({ currentTarget }) => {
          addControl({ layer: currentTarget.value });
          currentTarget.value = "";
        }}
      >
        <option value="">{layers.length > 0 ? "Add a layer" : "No layer yet"}</option>
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
          multiple
          aria-label="Add pictures that steer, from files"
          onChange={({ currentTarget }) => {
            for (const file of currentTarget.files ?? []) void addFile(file);
            currentTarget.value = "";
          }}
        />
        <span>File</span>
      </label>
      <button type="button" id="control-draw" disabled={!size} onClick={() => size && startDrawing(size)}>
        Draw
      </button>
    </span>
  );
}

async function addFile(file: File): Promise<void> {
  await attempt(`Reading ${file.name}`, async () => {
    const { picture } = await addPicture(file).catch(() => {
      throw new Error(`The file ${file.name} could not be read as a picture.`);
    });
    addControl({ picture, name: file.name });
  });
}

const looks: readonly (readonly [Look, string, string])[] = [
  ["picture", "As it is", "The picture itself"],
  ["edges", "Edges", "White lines where its colours change"],
  ["outline", "Outline", "White lines where its alpha changes"],
];

function Item({ control }: { control: Steering }) {
  const { id, source, look, by, scale } = control;
  const name = nameOf(control);
  const set = (more: Partial<Control>): void => changeControl(id, (now) => ({ ...now, ...more }));
  return (
    <li class="control">
      <Seen control={control} name={name} />
      <div class="control-head">
        <strong>{name}</strong>
        {isBlank(control) && <small>Nothing is drawn yet</small>}
        <i class="gap" />
        {"drawing" in source && (
          <button type="button" class="quiet-button" onClick={() => startDrawing(id)}>
            Change
            <span class="unseen"> {name}</span>
          </button>
        )}
        <button
          type="button"
          class="ghost"
          aria-label={`Remove ${name} from what steers`}
          title="Without it"
          onClick={() => {
            removeControl(id);
            keepFocus("#control");
          }}
        >
          <Icon name="close" />
        </button>
      </div>
      {!("drawing" in source) && (
        <div class="segments" role="radiogroup" aria-label={`What is seen of ${name}`}>
          {looks.map(([value, label, what]) => (
            <label key={value} title={what}>
              <input
                type="radio"
                name={`look ${id}`}
                value={value}
                checked={look === value}
                onChange={() => set({ look: value })}
              />
              <span>{label}</span>
            </label>
          ))}
        </div>
      )}
      <select
        aria-label={`ControlNet for ${name}`}
        value={by.id}
        onChange={({ currentTarget }) => set({ net: currentTarget.value })}
      >
        {controlNets.value.map(({ id, name, misfit }) => (
          <option key={id} value={id} disabled={misfit !== undefined}>
            {name}
            {misfit === undefined ? "" : ", does not fit"}
          </option>
        ))}
      </select>
      <label class="slider">
        <span>Strength</span>
        <input
          type="range"
          aria-label={`Strength of ${name}`}
          min="0"
          max="2"
          step="0.05"
          value={scale}
          onInput={({ currentTarget }) => set({ scale: currentTarget.valueAsNumber })}
        />
        <output>{scale}</output>
      </label>
      <Steps control={control} name={name} />
    </li>
  );
}

/** In which part of the steps a control acts. */
function Steps({ control, name }: { control: Steering; name: string }) {
  const field = (which: "start" | "end", label: string) => (
    <input
      type="number"
      aria-label={label}
      min="0"
      max="100"
      step="1"
      required
      value={percent(control[which])}
      onChange={({ currentTarget }) => {
        const part = currentTarget.valueAsNumber / 100;
        const changed = Number.isNaN(part) ? control : inSteps(control, { [which]: part });
        changeControl(control.id, (now) => ({ ...now, start: changed.start, end: changed.end }));
        // What was typed may be no more than what there was.
        currentTarget.value = String(percent(changed[which]));
      }}
    />
  );
  return (
    <span class="small">
      Steps {field("start", `First step of ${name}, in percent`)} to {field("end", `Last step of ${name}, in percent`)} %
    </span>
  );
}

/** The longer side of what is shown of a control, in pixels. */
const shownSide = 240;

/** What the ControlNet sees. */
function Seen({ control, name }: { control: Steering; name: string }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [failure, setFailure] = useState("");
  const frame = next.value?.size ?? { width: 1, height: 1 };
  const scale = shownSide / Math.max(frame.width, frame.height);
  const [width, height] = [Math.ceil(frame.width * scale), Math.ceil(frame.height * scale)];
  const isShown = settingsOpen.value;
  useEffect(() => {
    if (!isShown) return;
    const controller = new AbortController();
    const { signal } = controller;
    const show = async (): Promise<void> => {
      const image = await fitted(await seen(control, signal), { width, height });
      const { current } = canvas;
      if (!current || signal.aborted) return;
      current.getContext("2d")?.putImageData(image, 0, 0);
      current.dataset["drawn"] = control.look;
      setFailure("");
    };
    show().catch((error: unknown) => signal.aborted || setFailure((error as Error).message));
    return () => controller.abort();
  }, [originOf(control), control.look, width, height, isShown]);
  return (
    <div class="seen">
      <canvas
        ref={canvas}
        width={width}
        height={height}
        role="img"
        aria-label={`What the ControlNet sees of ${name}`}
        hidden={failure !== ""}
      />
      {failure && <small>{failure}</small>}
    </div>
  );
}
