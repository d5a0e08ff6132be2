// What is selected: how it is placed and mixed, what made it, and what else it could be. With nothing selected, the scene.

import { blendModes, type BlendMode, operators, type Operator } from "glassine";
import { compare } from "../compare/compare.tsx";
import { info, lackingFor, modeNames } from "../making/model.ts";
import { enlarge } from "../making/enlarge.ts";
import { again, change, ownMode } from "../making/redo.ts";
import { copyLinkOf } from "../making/sharing.tsx";
import { choose, type Node, noSides, type PictureNode, resize, sizeOf, update } from "../state/document.ts";
import { urlOf } from "../state/pictures.ts";
import { doc, edit, endStep, selected, selectedPicture, titleOf } from "../state/studio.ts";
import { exportLayer, pictureFileName } from "../files.ts";
import { commands, tip } from "../commands.ts";
import { CommandButton } from "./button.tsx";
import { HoldBefore } from "./hold-before.tsx";
import { attempt } from "./notices.tsx";
import { Icon } from "./icons.tsx";

export function Inspector() {
  const nodes = selected.value;
  const [node, ...others] = nodes;
  return (
    <section class="panel inspector" aria-label="Properties">
      {!node ? (
        <SceneProperties />
      ) : (
        <>
          <header>
            <h2>{others.length > 0 ? `${nodes.length} layers` : titleOf(node)}</h2>
          </header>
          <Mixing nodes={nodes} />
          {others.length === 0 && <Place node={node} />}
          <Arranging />
          {selectedPicture.value && <Variants node={selectedPicture.value} />}
          {selectedPicture.value?.recipe && <Made node={selectedPicture.value} />}
          {selectedPicture.value && <Making node={selectedPicture.value} />}
          {others.length === 0 && <Saving node={node} />}
        </>
      )}
    </section>
  );
}

const blendOptions = blendModes.map((mode) => (
  <option key={mode} value={mode}>
    {mode}
  </option>
));
const operatorOptions = operators.map((name) => (
  <option key={name} value={name}>
    {name}
  </option>
));

/** Changes all that is selected. */
function set(fields: Partial<Node>, key?: string): void {
  const ids = selected.value.map(({ id }) => id);
  edit((now) => update(now, ids, (node) => ({ ...node, ...fields }) as Node), key && `${key} ${ids.join()}`);
}

function Mixing({ nodes }: { nodes: readonly Node[] }) {
  const [{ opacity, blend, operator }] = nodes as [Node];
  const sameBlend = nodes.every((node) => node.blend === blend);
  const sameOperator = nodes.every((node) => node.operator === operator);
  return (
    <div class="fields">
      <label class="range" for="opacity">
        <span>
          Opacity <output>{Math.round(opacity * 100)} %</output>
        </span>
        <input
          type="range"
          id="opacity"
          name="opacity"
          min="0"
          max="1"
          step="0.01"
          value={opacity}
          onInput={({ currentTarget }) => set({ opacity: currentTarget.valueAsNumber }, "opacity")}
          onChange={endStep}
        />
      </label>
      <label>
        <span>Blend</span>
        <select
          name="blend"
          value={sameBlend ? blend : ""}
          onChange={({ currentTarget }) => set({ blend: currentTarget.value as BlendMode })}
        >
          {!sameBlend && <option value="">several</option>}
          {blendOptions}
        </select>
      </label>
      <label>
        <span>Operator</span>
        <select
          name="operator"
          value={sameOperator ? operator : ""}
          onChange={({ currentTarget }) => set({ operator: currentTarget.value as Operator })}
        >
          {!sameOperator && <option value="">several</option>}
          {operatorOptions}
        </select>
      </label>
    </div>
  );
}

/** The edges that a layer has in its parent before it is turned, and its size there. */
function Place({ node }: { node: Node }) {
  const { width, height } = sizeOf(doc.value, node);
  const { x, y, scale, rotate } = node;
  const left = x + (width * (1 - scale)) / 2;
  const top = y + (height * (1 - scale)) / 2;
  const disabled = node.locked;
  return (
    <div class="numbers">
      <Value
        name="x"
        label="X"
        value={left}
        disabled={disabled}
        onValue={(value) => set({ x: value - (width * (1 - scale)) / 2 })}
      />
      <Value
        name="y"
        label="Y"
        value={top}
        disabled={disabled}
        onValue={(value) => set({ y: value - (height * (1 - scale)) / 2 })}
      />
      <Value
        name="scale"
        label="Scale"
        unit="%"
        value={scale * 100}
        min={0.1}
        disabled={disabled}
        onValue={(value) => set({ scale: value / 100 })}
      />
      <Value
        name="rotate"
        label="Turn"
        unit="°"
        value={rotate}
        disabled={disabled}
        onValue={(value) => set({ rotate: value })}
      />
    </div>
  );
}

interface ValueProps {
  readonly name: string;
  readonly label: string;
  readonly unit?: string;
  readonly value: number;
  readonly min?: number;
  readonly disabled: boolean;
  readonly onValue: (value: number) => void;
}

function Value({ name, label, unit, value, min, disabled, onValue }: ValueProps) {
  return (
    <label class="number">
      <span>
        {label}
        {unit && <i> {unit}</i>}
      </span>
      <input
        type="number"
        name={name}
        step="any"
        min={min}
        disabled={disabled}
        value={Math.round(value * 100) / 100}
        onChange={({ currentTarget }) => {
          const { valueAsNumber } = currentTarget;
          if (Number.isFinite(valueAsNumber) && (min === undefined || valueAsNumber >= min)) onValue(valueAsNumber);
        }}
      />
    </label>
  );
}

function Arranging() {
  return (
    <>
      <div class="tools spread" role="group" aria-label="Align">
        <CommandButton command="alignLeft" icon="alignLeft" />
        <CommandButton command="alignCentre" icon="alignCentre" />
        <CommandButton command="alignRight" icon="alignRight" />
        <i class="gap" />
        <CommandButton command="alignTop" icon="alignTop" />
        <CommandButton command="alignMiddle" icon="alignMiddle" />
        <CommandButton command="alignBottom" icon="alignBottom" />
      </div>
      <div class="tools spread" role="group" aria-label="Arrange">
        <CommandButton command="front" icon="front" />
        <CommandButton command="up" icon="up" />
        <CommandButton command="down" icon="down" />
        <CommandButton command="back" icon="back" />
        <i class="gap" />
        <CommandButton command="flip" icon="flip" />
        <CommandButton command="flipDown" icon="flipDown" />
      </div>
    </>
  );
}

/** The pictures that a layer can have, to choose one from. */
function Variants({ node }: { node: PictureNode }) {
  if (node.variants.length === 0) return null;
  return (
    <fieldset class="variants" id="variants">
      <legend>Choose one of {node.variants.length}</legend>
      <div>
        {node.variants.map((variant, index) => (
          <label key={variant.picture} class="variant">
            <input
              type="radio"
              name="variant"
              checked={variant.picture === node.picture}
              onChange={() =>
                edit((now) =>
                  update(now, [node.id], (each) => (each.kind === "picture" ? choose(each, variant) : each)),
                )
              }
            />
            <img
              class="checker"
              src={urlOf(variant.picture)}
              alt={`Variation ${index + 1}${variant.recipe?.seed === undefined ? "" : `, seed ${variant.recipe.seed}`}`}
            />
            {variant.recipe?.seed !== undefined && <small aria-hidden="true">{variant.recipe.seed}</small>}
          </label>
        ))}
      </div>
      <button
        type="button"
        class="link"
        onClick={() =>
          edit((now) => update(now, [node.id], (each) => (each.kind === "picture" ? { ...each, variants: [] } : each)))
        }
      >
        Keep this one, drop the others
      </button>
    </fieldset>
  );
}

function Made({ node }: { node: PictureNode }) {
  const { recipe } = node;
  if (!recipe) return null;
  const { prompt, mode, seed, steps, guidance } = recipe;
  return (
    <div class="made">
      <h3>Made from</h3>
      <p class="prompt">{prompt}</p>
      <dl>
        {mode && (
          <div>
            <dt>What</dt>
            <dd>{modeNames[mode]}</dd>
          </div>
        )}
        {seed !== undefined && (
          <div>
            <dt>Seed</dt>
            <dd>{seed}</dd>
          </div>
        )}
        {typeof steps === "number" && (
          <div>
            <dt>Steps</dt>
            <dd>{steps}</dd>
          </div>
        )}
        {typeof guidance === "number" && (
          <div>
            <dt>Guidance</dt>
            <dd>{guidance}</dd>
          </div>
        )}
        <div>
          <dt>Pixels</dt>
          <dd id="pixels">{[`${node.width} × ${node.height}`, ...(node.role ? [node.role] : [])].join(", ")}</dd>
        </div>
      </dl>
      <div class="actions">
        <button type="button" id="again" disabled={!info.value} onClick={() => again(node)}>
          <Icon name="again" /> Another seed
        </button>
        <button
          type="button"
          id="copy-layer-link"
          disabled={!prompt}
          onClick={() => void attempt("Copying the link", () => copyLinkOf(recipe))}
        >
          <Icon name="link" /> Copy link
        </button>
        <HoldBefore node={node} />
      </div>
    </div>
  );
}

/** What can be made of a picture. */
function Making({ node }: { node: PictureNode }) {
  const model = info.value;
  const lacks = model && lackingFor(ownMode(node, model));
  const disabled = !model || lacks !== undefined;
  return (
    <div class="actions" role="group" aria-label="Make from it">
      {lacks && <p class="hint">{lacks}</p>}
      <button type="button" id="change" disabled={disabled} onClick={() => change(node)}>
        <Icon name="wand" /> Change…
      </button>
      <button type="button" id="repaint" disabled={disabled} title={tip("maskTool")} onClick={commands.maskTool.run}>
        <Icon name="brush" /> Repaint…
      </button>
      <button type="button" id="extend" disabled={disabled} title={tip("extendTool")} onClick={commands.extendTool.run}>
        <Icon name="extend" /> Extend…
      </button>
      <button
        type="button"
        id="enlarge"
        disabled={disabled}
        title={`To ${2 * node.width} × ${2 * node.height} pixels, with more detail`}
        onClick={() => enlarge(node)}
      >
        <Icon name="larger" /> Enlarge ×2
      </button>
    </div>
  );
}

function Saving({ node }: { node: Node }) {
  return (
    <div class="actions">
      {node.kind === "picture" && (
        <button
          type="button"
          id="compare-matte"
          title="Beside what is left of it if it is cut out of an opaque picture"
          onClick={() => void attempt("Cutting it out", () => compare(node))}
        >
          <Icon name="compare" /> Against a matte
        </button>
      )}
      {node.kind === "picture" && (
        <a
          class="button"
          id="download"
          href={urlOf(node.picture)}
          download={pictureFileName(node)}
          title="Its own pixels, as they were made"
        >
          <Icon name="download" /> Save layer
        </a>
      )}
      <button
        type="button"
        title="As it is placed in the scene"
        onClick={() => void attempt(`Writing ${titleOf(node)}`, () => exportLayer(node))}
      >
        <Icon name="download" /> As placed
      </button>
    </div>
  );
}

function SceneProperties() {
  const { width, height, background, space } = doc.value;
  const isClear = background.length === 9 && background.endsWith("00");
  const setSize = (size: { width?: number; height?: number }): void =>
    edit((now) => {
      const { width, height } = { width: now.width, height: now.height, ...size };
      return { ...resize(now, { ...noSides, right: width - now.width, bottom: height - now.height }), sized: true };
    });
  const bounded = (value: number): number => Math.min(16384, Math.max(1, Math.round(value)));
  return (
    <>
      <header>
        <h2>Scene</h2>
      </header>
      <div class="numbers">
        <Value
          name="sceneWidth"
          label="Width"
          unit="px"
          value={width}
          min={1}
          disabled={false}
          onValue={(value) => setSize({ width: bounded(value) })}
        />
        <Value
          name="sceneHeight"
          label="Height"
          unit="px"
          value={height}
          min={1}
          disabled={false}
          onValue={(value) => setSize({ height: bounded(value) })}
        />
      </div>
      <div class="fields">
        <label class="check">
          <input
            type="checkbox"
            name="clear"
            checked={isClear}
            onChange={({ currentTarget }) =>
              edit((now) => ({ ...now, background: currentTarget.checked ? "#00000000" : "#ffffff" }))
            }
          />
          Transparent background
        </label>
        {!isClear && (
          <label class="colour">
            <span>Background</span>
            <input
              type="color"
              name="background"
              value={background.slice(0, 7)}
              onInput={({ currentTarget }) =>
                edit((now) => ({ ...now, background: currentTarget.value }), "background")
              }
              onChange={endStep}
            />
          </label>
        )}
        <label>
          <span>Colours mix</span>
          <select
            name="space"
            value={space}
            onChange={({ currentTarget }) =>
              edit((now) => ({ ...now, space: currentTarget.value as "srgb" | "linear" }))
            }
          >
            <option value="srgb">as in the browser (sRGB)</option>
            <option value="linear">in linear light</option>
          </select>
        </label>
      </div>
      <p class="hint">Select a layer to place it, mix it, or have it made again.</p>
    </>
  );
}
