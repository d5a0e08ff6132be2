// The prompt bar: what to make, how, and where.

import { effect, signal, untracked } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { type EngineInfo, type Mode, modes } from "glassine";
import { Icon } from "../panels/icons.tsx";
import { settingsOpen } from "../panels/dialogs.ts";
import { attempt } from "../panels/notices.tsx";
import { showModels } from "../models/show.ts";
import { covered, selection, tool } from "../state/studio.ts";
import { Foretold } from "./foretold.tsx";
import { failed, info, lackingFor, loadModel, modeNames, status } from "./model.ts";
import { cancelRunning, enqueue, jobs } from "./queue.ts";
import { QueueList } from "./queue-list.tsx";
import { changing, changingId, optionsOf, randomSeed } from "./redo.ts";
import type { LinkedRecipe } from "./link.ts";
import { Prompt } from "./prompt.tsx";
import { copyLink } from "./sharing.tsx";
import {
  beside,
  isExtending,
  linked,
  manyFrames,
  next,
  read,
  settings,
  sizeFollows,
  sizes,
  toWish,
} from "./settings.ts";
import { Steering, SteeringFields } from "./steering.tsx";
import { type Change, changeOf, isReady, Target } from "./target.tsx";

const parameters = new URLSearchParams(location.search);
/** Whether something was asked for before there was a model: it is made once there is one. */
const isAwaited = signal(false);

export function Bar() {
  const form = useRef<HTMLFormElement>(null);
  useEffect(() => {
    const { current } = form;
    if (!current) return;
    const refresh = (): void => void (settings.value = read(current));
    const stops = [
      effect(() => {
        const node = changingId.value === undefined ? undefined : untracked(() => changing.value);
        // What is painted over is to become something else than the whole.
        const prompt = untracked(() => (tool.value === "mask" ? undefined : node?.recipe?.prompt));
        if (node) untracked(() => fill(current, { prompt, ...optionsOf(node.recipe) }));
        refresh();
      }),
      // It is changed as long as it is selected, again and again.
      effect(() => {
        if (changingId.value !== undefined && !selection.value.includes(changingId.value)) changingId.value = undefined;
      }),
      measure(current),
    ];
    return () => stops.forEach((stop) => stop());
  }, []);
  const model = info.value;
  const asked = linked.value;
  const [offered, shown] = [useRef(""), useRef<LinkedRecipe>(undefined)];
  // Once what it offers is there to be chosen.
  useEffect(() => {
    const { current } = form;
    if (!current || !model) return;
    // The same model with other LoRAs, or on another device, leaves what was chosen as it is.
    if (offered.current !== model.sha256) offer(current, model);
    offered.current = model.sha256;
    if (asked && shown.current !== asked) show(current, asked);
    shown.current = asked;
    if (isAwaited.value) current.requestSubmit();
    isAwaited.value = false;
  }, [model, asked]);
  const node = changing.value;
  const mode = node ? next.value?.mode : settings.value?.mode;
  const lacking = mode && lackingFor(mode);
  return (
    <form
      id="form"
      ref={form}
      class="bar"
      autocomplete="off"
      aria-label="Make something"
      onInput={({ currentTarget }) => (settings.value = read(currentTarget))}
      onChange={({ currentTarget }) => (settings.value = read(currentTarget))}
      onSubmit={(event) => {
        event.preventDefault();
        submit(event.currentTarget);
      }}
    >
      <QueueList />
      <div class="bar-card">
        <div class="bar-head">
          <Status />
          <Foretold />
        </div>
        <Target />
        <Prompt initial={parameters.get("prompt") ?? "a red apple"} />
        <Steering />
        <div class="bar-row">
          <ModeSelect />
          <button
            type="button"
            class="tool"
            aria-label="Draw a box to make it in"
            title="Draw a box to make it in (B)"
            aria-pressed={tool.value === "box"}
            onClick={() => (tool.value = tool.value === "box" ? "move" : "box")}
          >
            <Icon name="box" />
          </button>
          <button
            type="button"
            class="tool"
            id="more"
            aria-label="Settings"
            title="Settings"
            aria-expanded={settingsOpen.value}
            aria-controls="settings"
            onClick={() => (settingsOpen.value = !settingsOpen.value)}
          >
            <Icon name="sliders" />
          </button>
          <label class="count" hidden={isJoint()} title="How many to choose from">
            <span class="unseen">Variations</span>
            <select name="count">
              {[1, 2, 3, 4, 6, 8].map((count) => (
                <option key={count} value={count}>
                  {count === 1 ? "1 picture" : `${count} to choose from`}
                </option>
              ))}
            </select>
          </label>
          <i class="gap" />
          <Submit lacks={lacking !== undefined || (node !== undefined && !isReady(node))} />
        </div>
        {lacking && (
          <p id="lacking" class="lacking">
            {lacking}{" "}
            <button type="button" class="link" onClick={showModels}>
              Open Models
            </button>
          </p>
        )}
        <More />
      </div>
    </form>
  );
}

/** Whether the next pictures belong together, so that there cannot be other ones for each. */
function isJoint(): boolean {
  return settings.value?.mode === "joint" && !changing.value;
}

const changeNames: Record<Change, string> = { change: "Change", repaint: "Repaint", extend: "Extend" };

function Submit({ lacks }: { lacks: boolean }) {
  const busy = jobs.value.some(({ state }) => state === "running");
  return (
    <>
      {failed.value && (
        <button type="button" id="retry" onClick={() => void loadModel().catch(() => {})}>
          Load the model again
        </button>
      )}
      <button
        type="button"
        id="cancel"
        hidden={!busy}
        onClick={() => {
          document.querySelector<HTMLElement>("#generate")?.focus();
          cancelRunning();
        }}
      >
        Cancel
      </button>
      <button type="submit" id="generate" class="primary" disabled={!info.value || failed.value || lacks}>
        {changing.value ? changeNames[changeOf(changing.value)] : "Generate"}
      </button>
    </>
  );
}

/** How far the model, or what it makes, is. */
function Status() {
  const { text, share } = status.value;
  return (
    <div class={`status ${share > 0 && share < 1 ? "busy" : ""}`} role="status">
      <progress id="progress" max={1} value={share} aria-label="Progress" />
      <p id="status">{isAwaited.value ? `${text}. Then it is made.` : text}</p>
    </div>
  );
}

function ModeSelect() {
  const model = info.value;
  const order: readonly Mode[] = ["single", "bg2fg", "fg2bg", "joint", "opaque"];
  const known = [...modes].sort((a, b) => order.indexOf(a) - order.indexOf(b));
  const offered = model?.modes ?? ["single"];
  return (
    <label class="mode" hidden={changing.value !== undefined}>
      <span class="unseen">What to make</span>
      <select name="mode" aria-describedby="lacking">
        {known
          .filter((mode) => offered.includes(mode))
          .map((mode) => (
            <option key={mode} value={mode}>
              {modeNames[mode]}
            </option>
          ))}
        {model && (
          <optgroup label="With a model that has more">
            {known
              .filter((mode) => !offered.includes(mode))
              .map((mode) => (
                <option key={mode} value={mode}>
                  {modeNames[mode]}
                </option>
              ))}
          </optgroup>
        )}
      </select>
    </label>
  );
}

/** The settings that most pictures do without. */
function More() {
  const model = info.value;
  const mode = settings.value?.mode;
  const guidance = linked.value?.guidance ?? 7;
  const frames = mode !== undefined && manyFrames.includes(mode) && !changing.value;
  const words = (name: string, label: string, of: readonly Mode[]) => {
    const shown = frames && of.includes(mode);
    return (
      <label class="field" data-modes={of.join(" ")} hidden={!shown}>
        <span>{label}</span>
        <input type="text" name={name} maxLength={500} disabled={!shown} />
      </label>
    );
  };
  return (
    <div id="settings" class="more" hidden={!settingsOpen.value}>
      <label class="field wide">
        <span>Keep away from</span>
        <input type="text" name="negativePrompt" maxLength={500} placeholder="blurry, text" />
      </label>
      {words("foregroundPrompt", "Foreground, in more words", ["joint", "bg2fg"])}
      {words("backgroundPrompt", "Background, in more words", ["joint", "fg2bg"])}
      {words("blendedPrompt", "Both together, in more words", ["joint", "fg2bg", "bg2fg"])}
      <div class="field">
        <label for="seed">Seed</label>
        <span class="with-button">
          <input
            type="number"
            id="seed"
            name="seed"
            min="0"
            max="4294967295"
            step="1"
            required
            inputMode="numeric"
            defaultValue={parameters.get("seed") ?? "7"}
          />
          <button
            type="button"
            class="tool"
            id="dice"
            aria-label="Choose a seed at random"
            title="Choose a seed at random"
            onClick={({ currentTarget }) => currentTarget.form && fill(currentTarget.form, { seed: randomSeed() })}
          >
            <Icon name="dice" />
          </button>
        </span>
        <label class="check">
          <input type="checkbox" name="newSeed" defaultChecked /> Another one for each
        </label>
      </div>
      <label class="field">
        <span>Size</span>
        <select name="size" title={sizeFollows.value ? "It follows from where the picture is to stand" : ""}>
          {model &&
            sizes(model).map(({ width, height }) => (
              <option key={`${width}x${height}`} value={`${width}x${height}`}>
                {width} × {height}
              </option>
            ))}
        </select>
        {sizeFollows.value && <small>It follows from where the picture is to stand.</small>}
      </label>
      <label class="field range" for="steps">
        <span>
          Steps <output name="stepsShown">{settings.value?.steps}</output>
        </span>
        <input
          type="range"
          name="steps"
          id="steps"
          min="1"
          max={Math.max(50, model?.defaults.steps ?? 0, linked.value?.steps ?? 0)}
          defaultValue={parameters.get("steps") ?? "20"}
        />
      </label>
      <label class="field range" for="guidance">
        <span>
          Guidance <output name="guidanceShown">{settings.value?.guidance}</output>
        </span>
        <input
          type="range"
          name="guidance"
          id="guidance"
          min={Math.min(1, guidance)}
          max={Math.max(15, guidance)}
          step={Number.isInteger(2 * guidance) ? 0.5 : "any"}
          defaultValue="7"
        />
      </label>
      <SteeringFields />
      <div class="field wide">
        {Object.keys(beside.value).length > 0 && (
          <span class="chip" id="beside">
            Asked for, too: {Object.entries(beside.value).map((each) => each.join(" ")).join(", ")}
            <button
              type="button"
              class="ghost"
              aria-label="Without what is asked for beside the settings"
              title="Without it"
              onClick={() => (linked.value = undefined)}
            >
              <Icon name="close" />
            </button>
          </span>
        )}
        <button
          type="button"
          class="link"
          id="copy-link"
          disabled={!settings.value?.prompt}
          onClick={() => void attempt("Copying the link", copyLink)}
        >
          Copy a link to this model, prompt and settings
        </button>
      </div>
    </div>
  );
}

/** Fills the form with what a link or a picture asks for. */
function show(form: HTMLFormElement, { width, height, ...recipe }: LinkedRecipe): void {
  changingId.value = undefined;
  // What it leaves out is not what was there before.
  const none = { negativePrompt: "", foregroundPrompt: "", backgroundPrompt: "", blendedPrompt: "" };
  fill(form, { ...none, ...recipe, ...(width && height && { size: `${width}x${height}` }) });
}

/** Fills the form with what the model does by itself. */
function offer(form: HTMLFormElement, { defaults, modes }: EngineInfo): void {
  const [mode] = modes;
  fill(form, { steps: parameters.get("steps") ?? defaults.steps, guidance: defaults.guidance, ...(mode && { mode }) });
}

function fill(form: HTMLFormElement, values: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(values)) {
    const control = form.elements.namedItem(name);
    if (control && "value" in control && value !== undefined) control.value = String(value);
  }
  settings.value = read(form);
}

/** Makes what the form says. */
function submit(form: HTMLFormElement): void {
  const { value: model } = info;
  if (!model) return void (isAwaited.value = true);
  const now = read(form);
  enqueue(toWish(now, model));
  if (isExtending.value) tool.value = "move";
  const newSeed = form.elements.namedItem("newSeed");
  if (newSeed instanceof HTMLInputElement && newSeed.checked) fill(form, { seed: randomSeed() });
}

/** Room around the prompt and its buttons, in pixels. */
const headroom = 64;

/** Says how much of the canvas the bar covers; not what comes and goes in it, which must not move the scene. */
function measure(form: HTMLFormElement): () => void {
  const observer = new ResizeObserver(() => {
    const box = (selector: string) => document.querySelector(selector)?.getBoundingClientRect();
    const [stage, card, prompt, row] = [box("#stage"), box(".bar-card"), box(".bar-prompt"), box(".bar-row")];
    const isOver = stage && card && card.top < stage.bottom;
    covered.value = isOver && prompt && row ? stage.bottom - card.bottom + row.bottom - prompt.top + headroom : 0;
  });
  observer.observe(form);
  observer.observe(document.documentElement);
  return () => observer.disconnect();
}
