// The loupe: single pixels around the pointer, with their colour and alpha as the package has them.

import { effect, signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { flatten } from "../compose.ts";
import type { Doc } from "../state/document.ts";
import type { Point } from "../state/geometry.ts";
import { fail } from "../panels/notices.tsx";
import { usePointer } from "./pointer.ts";
import { doc, paper, tool, toScene, viewport } from "../state/studio.ts";

/** How many pixels are shown each way, and how large. */
const [count, cell] = [15, 10];
const side = count * cell;

const flat = signal<{ of: Doc; image: ImageData } | undefined>(undefined);

effect(() => {
  const now = doc.value;
  if (tool.value !== "loupe" || flat.peek()?.of === now) return;
  const controller = new AbortController();
  flatten(now, { signal: controller.signal }).then(
    ({ imageData }) => (flat.value = { of: now, image: imageData }),
    fail,
  );
  return () => controller.abort();
});

export function Loupe() {
  const at = usePointer(tool.value === "loupe");
  return at ? <Glass at={at} /> : null;
}

function Glass({ at }: { at: Point }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const point = toScene(at);
  const [x, y] = [Math.floor(point.x), Math.floor(point.y)];
  const image = flat.value?.image;
  useEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (!context) return;
    context.clearRect(0, 0, side, side);
    if (!image) return;
    context.imageSmoothingEnabled = false;
    const half = (count - 1) / 2;
    const source = new OffscreenCanvas(count, count);
    source.getContext("2d")?.putImageData(image, half - x, half - y);
    context.drawImage(source, 0, 0, side, side);
    context.strokeStyle = "#2f7cf6";
    context.lineWidth = 2;
    context.strokeRect(half * cell - 1, half * cell - 1, cell + 2, cell + 2);
  }, [image, x, y]);
  const left = at.x + 24 + side > viewport.value.width ? at.x - side - 24 : at.x + 24;
  const top = Math.max(8, Math.min(at.y - side / 2, viewport.value.height - side - 64));
  return (
    <div class="loupe" style={{ transform: `translate(${left}px, ${top}px)` }}>
      <canvas
        ref={canvas}
        class={paper.value === "checker" ? "checker" : ""}
        style={{ backgroundColor: paper.value === "checker" ? "" : paper.value }}
        width={side}
        height={side}
        role="img"
        aria-label="The pixels around the pointer"
      />
      <output>{valueAt(image, x, y)}</output>
    </div>
  );
}

function valueAt(image: ImageData | undefined, x: number, y: number): string {
  if (!image) return "…";
  if (x < 0 || y < 0 || x >= image.width || y >= image.height) return "outside";
  const [r = 0, g = 0, b = 0, a = 0] = image.data.subarray(4 * (y * image.width + x), 4 * (y * image.width + x) + 4);
  const hex = [r, g, b].map((value) => value.toString(16).padStart(2, "0")).join("");
  return `${x}, ${y}  #${hex}  α ${a}`;
}
