// The mask of the selected layer, as a tint over it, and what the brush is set to.

import { computed, useSignalEffect } from "@preact/signals";
import { useRef } from "preact/hooks";
import type { Mask } from "../state/brush.ts";
import { find, worldMatrix } from "../state/document.ts";
import { multiply, type Rect } from "../state/geometry.ts";
import { maskedOf, maskOf } from "../state/masks.ts";
import { camera, comparing, doc, freePicture, selectedPicture, tool } from "../state/studio.ts";
import { CommandButton } from "../panels/button.tsx";
import { HoldBefore } from "../panels/hold-before.tsx";
import { usePointer } from "./pointer.ts";
import { clearMask, erases, fillMask, hardness, invertMask, live, maskFromAlpha, size, sizeRange } from "./brush.ts";

/** The tint, blue first and red last, and how much of it there is where all is made anew. */
const [tint, most] = [0x8c3cf0, 0.55] as const;

/** The layer whose mask is seen. */
const layer = computed(() => (tool.value === "mask" ? selectedPicture.value : undefined));

export function MaskOverlay() {
  const node = layer.value;
  const found = node && find(doc.value, node.id);
  if (!found || comparing.value || (node.mask === undefined && live.value?.id !== node.id)) return null;
  const { x, y, zoom } = camera.value;
  const matrix = multiply([zoom, 0, 0, zoom, x, y], worldMatrix(doc.value, found));
  return <Tint key={node.id} id={node.id} width={node.width} height={node.height} transform={`matrix(${matrix.join()})`} />;
}

function Tint({ id, width, height, transform }: { id: string; width: number; height: number; transform: string }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  /** What the canvas has. */
  const drawn = useRef<Mask | undefined>(undefined);
  useSignalEffect(() => {
    const node = layer.value;
    const painted = live.value?.id === id ? live.value : undefined;
    const mask = painted?.mask ?? maskOf(node?.mask);
    const context = canvas.current?.getContext("2d");
    if (!context || !mask) return;
    const isSame = painted !== undefined && drawn.current === mask;
    if (!isSame) {
      context.canvas.width = mask.width;
      context.canvas.height = mask.height;
    }
    const area = isSame ? painted.area : { x: 0, y: 0, width: mask.width, height: mask.height };
    if (area) context.putImageData(tinted(mask, area), area.x, area.y);
    drawn.current = mask;
  });
  return (
    <canvas
      ref={canvas}
      class="mask"
      aria-hidden="true"
      style={{ width: `${width}px`, height: `${height}px`, transform }}
    />
  );
}

function tinted({ width, data }: Mask, area: Rect): ImageData {
  const image = new ImageData(area.width, area.height);
  const pixels = new Uint32Array(image.data.buffer);
  let index = 0;
  for (let y = area.y; y < area.y + area.height; y++) {
    for (let x = area.x; x < area.x + area.width; x++) {
      pixels[index++] = (Math.round(most * data[y * width + x]!) << 24) | tint;
    }
  }
  return image;
}

/** The brush's edge around the pointer. */
export function BrushCursor() {
  const at = usePointer(tool.value === "mask");
  if (!at || !freePicture.value) return null;
  const side = Math.max(2, size.value * camera.value.zoom);
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
            <span>{value ? "Erase" : "Paint"}</span>
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

function missing(): string {
  return selectedPicture.value ? "This layer is locked" : "Choose a layer to paint its mask";
}

