// What the brush paints on, over the scene, and what it is set to: the mask of the selected layer as a tint, or a drawing.

import { computed, useSignalEffect } from "@preact/signals";
import { useRef } from "preact/hooks";
import { type Mask, measure } from "../state/brush.ts";
import { find, worldMatrix } from "../state/document.ts";
import { type Matrix, multiply, type Rect } from "../state/geometry.ts";
import { maskedOf, maskOf } from "../state/masks.ts";
import { camera, comparing, doc, freePicture, selectedPicture, tool } from "../state/studio.ts";
import { clearDrawing, drawing } from "../making/drawing.ts";
import { CommandButton } from "../panels/button.tsx";
import { HoldBefore } from "../panels/hold-before.tsx";
import { usePointer } from "./pointer.ts";
import { clearMask, erases, fillMask, hardness, invertMask, live, maskFromAlpha, sizeRange, sizes, surface } from "./brush.ts";

/** What is seen where so much is painted, 0 to 255: alpha, blue, green, red. */
type Look = (value: number) => number;

/** A tint, of which there is most where all is made anew. */
const tint: Look = (value) => (Math.round(0.55 * value) << 24) | 0x8c3cf0;

/** White lines on black, through which the scene is seen a little. */
const lines: Look = (value) => {
  const share = value / 255;
  const alpha = share + (1 - share) * 0.7;
  return (Math.round(255 * alpha) << 24) | (Math.round((255 * share) / alpha) * 0x010101);
};

/** The layer whose mask is seen. */
const layer = computed(() => (tool.value === "mask" ? selectedPicture.value : undefined));

export function MaskOverlay() {
  const node = layer.value;
  const found = node && find(doc.value, node.id);
  if (!found || comparing.value || (node.mask === undefined && live.value?.id !== node.id)) return null;
  const { id, width, height } = node;
  return (
    <Painted
      key={id}
      {...{ id, name: "mask", look: tint, width, height }}
      matrix={worldMatrix(doc.value, found)}
      read={() => maskOf(layer.value?.mask)}
    />
  );
}

export function DrawingOverlay() {
  const { id } = drawing.value ?? {};
  const { mask, matrix } = surface.value ?? {};
  if (id === undefined || !mask || !matrix) return null;
  const { width, height } = mask;
  const read = () => drawing.value?.history.present;
  return <Painted key={id} {...{ id, name: "drawing", look: lines, width, height, matrix, read }} />;
}

interface PaintedProps {
  readonly id: string;
  readonly name: string;
  readonly look: Look;
  readonly width: number;
  readonly height: number;
  readonly matrix: Matrix;
  /** What is painted, apart from what is being painted now. */
  readonly read: () => Mask | undefined;
}

function Painted({ id, name, look, width, height, matrix, read }: PaintedProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  /** What the canvas has. */
  const drawn = useRef<Mask | undefined>(undefined);
  useSignalEffect(() => {
    const painted = live.value?.id === id ? live.value : undefined;
    const mask = painted?.mask ?? read();
    const context = canvas.current?.getContext("2d");
    if (!context || !mask) return;
    const isSame = painted !== undefined && drawn.current === mask;
    if (!isSame) {
      context.canvas.width = mask.width;
      context.canvas.height = mask.height;
    }
    const area = isSame ? painted.area : { x: 0, y: 0, width: mask.width, height: mask.height };
    if (area) context.putImageData(shown(mask, area, look), area.x, area.y);
    drawn.current = mask;
  });
  const { x, y, zoom } = camera.value;
  const transform = `matrix(${multiply([zoom, 0, 0, zoom, x, y], matrix).join()})`;
  return (
    <canvas
      ref={canvas}
      class={`painted ${name}`}
      aria-hidden="true"
      style={{ width: `${width}px`, height: `${height}px`, transform }}
    />
  );
}

function shown({ width, data }: Mask, area: Rect, look: Look): ImageData {
  const colours = Uint32Array.from({ length: 256 }, (_, value) => look(value));
  const image = new ImageData(area.width, area.height);
  const pixels = new Uint32Array(image.data.buffer);
  let index = 0;
  for (let y = area.y; y < area.y + area.height; y++) {
    for (let x = area.x; x < area.x + area.width; x++) {
      pixels[index++] = colours[data[y * width + x]!]!;
    }
  }
  return image;
}

/** The brush's edge around the pointer. */
export function BrushCursor() {
  const at = usePointer(tool.value === "mask" || tool.value === "draw");
  if (!at || !surface.value) return null;
  const side = Math.max(2, surface.value.size.value * camera.value.zoom);
  const place = `translate(${at.x - side / 2}px, ${at.y - side / 2}px)`;
  return <div class="brush-cursor" style={{ width: `${side}px`, height: `${side}px`, transform: place }} />;
}

/** What of a layer is masked, in words. */
export function inWords(share: number): string {
  if (share >= 1) return "all";
  return share < 0.01 ? "less than 1 %" : `${Math.min(99, Math.round(100 * share))} %`;
}

export function MaskBar() {
  if (tool.value !== "mask") return null;
  const node = freePicture.value;
  const share = maskedOf(node?.id)?.share ?? 0;
  return (
    <div class="tool-bar" id="mask-bar" role="toolbar" aria-label="Mask">
      <Brush of="mask" paint="Paint" />
      <label class="slider">
        <span>Hardness</span>
        <input
          type="range"
          name="brushHardness"
          min="0"
          max="1"
          step="0.05"
          value={hardness.value}
          onInput={({ currentTarget }) => (hardness.value = currentTarget.valueAsNumber)}
        />
        <output>{Math.round(100 * hardness.value)}</output>
      </label>
      <div class="tools">
        {(
          [
            ["mask-fill", "Fill", fillMask, "Make all of the layer anew"],
            ["mask-clear", "Clear", clearMask, "Keep all of the layer"],
            ["mask-invert", "Invert", invertMask, "Make anew what is kept, and keep the rest (I)"],
            ["mask-alpha", "From alpha", maskFromAlpha, "Make anew what of the layer is to be seen"],
          ] as const
        ).map(([id, title, run, what]) => (
          <button key={id} type="button" id={id} class="quiet-button" title={what} disabled={!node} onClick={run}>
            {title}
          </button>
        ))}
        {node && <HoldBefore node={node} />}
        <CommandButton command="moveTool" icon="check" />
      </div>
      <p id="mask-share" class="hint" role="status">
        {node ? (share > 0 ? `${inWords(share)} of it is made anew` : "Paint over what is to be made anew") : missing()}
      </p>
    </div>
  );
}

/** What the brush is set to. */
function Brush({ of, paint }: { of: keyof typeof sizes; paint: string }) {
  const size = sizes[of];
  return (
    <>
      <div class="segments">
        {([false, true] as const).map((value) => (
          <label key={String(value)}>
            <input
              type="radio"
              name="brush"
              value={value ? "erase" : "paint"}
              checked={erases.value === value}
              onChange={() => (erases.value = value)}
            />
            <span>{value ? "Erase" : paint}</span>
          </label>
        ))}
      </div>
      <label class="slider">
        <span>Size</span>
        <input
          type="range"
          name="brushSize"
          min={sizeRange[0]}
          max={sizeRange[1]}
          value={size.value}
          onInput={({ currentTarget }) => (size.value = currentTarget.valueAsNumber)}
        />
        <output>{size.value}</output>
      </label>
    </>
  );
}

export function DrawingBar() {
  const { history } = drawing.value ?? {};
  if (!history) return null;
  const { width, height } = history.present;
  const { share } = measure(history.present);
  return (
    <div class="tool-bar" id="drawing-bar" role="toolbar" aria-label="Drawing">
      <Brush of="draw" paint="Draw" />
      <div class="tools">
        <button
          type="button"
          id="drawing-clear"
          class="quiet-button"
          title="Begin anew"
          aria-disabled={share === 0}
          onClick={clearDrawing}
        >
          Clear
        </button>
        <CommandButton command="moveTool" icon="check" />
      </div>
      <p id="drawing-share" class="hint" role="status">
        {share > 0 ? `${inWords(share)} of ${width} × ${height} is drawn` : `Draw lines for a ControlNet to see, ${width} × ${height}`}
      </p>
    </div>
  );
}

function missing(): string {
  return selectedPicture.value ? "This layer is locked" : "Choose a layer to paint its mask";
}

