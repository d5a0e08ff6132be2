// Native transparency and a matte, side by side: what is lost if a layer is cut out of an opaque picture of it.

import { batch, signal, useSignalEffect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { Dialog } from "../panels/dialog.tsx";
import { dialog } from "../panels/dialogs.ts";
import { fail } from "../panels/notices.tsx";
import { Swatches } from "../panels/swatches.tsx";
import type { PictureNode } from "../state/document.ts";
import { blobOf } from "../state/pictures.ts";
import { titleOf } from "../state/studio.ts";
import { alphaError, type Colour, cutOut, over, type Pixels } from "./matte.ts";

const compared = signal<{ readonly title: string; readonly pixels: Pixels } | undefined>(undefined);
/** What the picture is cut out of. */
const ground = signal("#ffffff");
/** What both are shown over. */
const behind = signal("#1f6f5c");
const matte = signal<Pixels | undefined>(undefined);

/** Compares a layer with what is left of it if it is cut out of an opaque picture. */
export async function compare(node: PictureNode): Promise<void> {
  const bitmap = await createImageBitmap(blobOf(node.picture));
  const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d");
  if (!context) throw new Error("this browser gives no canvas of that size");
  context.drawImage(bitmap, 0, 0);
  const pixels = context.getImageData(0, 0, bitmap.width, bitmap.height);
  bitmap.close();
  batch(() => {
    compared.value = { title: titleOf(node), pixels: pixels as Pixels };
    dialog.value = "compare";
  });
}

export function CompareDialog() {
  useSignalEffect(() => {
    try {
      const { pixels } = compared.value ?? {};
      matte.value = pixels && cutOut(over(pixels, toColour(ground.value)), toColour(ground.value));
    } catch (error) {
      fail(error);
    }
  });
  return (
    <Dialog name="compare" title="Native transparency, and a matte" onClose={() => (compared.value = undefined)}>
      {compared.value && matte.value && <Both {...compared.value} matte={matte.value} />}
    </Dialog>
  );
}

function Both({ title, pixels, matte }: { title: string; pixels: Pixels; matte: Pixels }) {
  const error = alphaError(pixels, matte);
  return (
    <>
      <div class="both">
        <Side pixels={pixels} label={`${title}, with the alpha that it was made with`} name="Native alpha" />
        <Side pixels={matte} label={`${title}, cut out by a matte`} name="Cut out by a matte" />
      </div>
      <p id="matte-error">
        Mean error of the matte's alpha where there is something: <b>{error.toFixed(3)}</b>, from 0, the same, to 1.
      </p>
      <div class="both-colours">
        <fieldset>
          <legend>Shown over</legend>
          <Swatches
            name="behind"
            choices={[["checker", "Checkerboard"], ...plain]}
            value={behind.value}
            onValue={(value) => (behind.value = value)}
            colour={{ id: "behind-colour", label: "Shown over a colour of your own" }}
          />
        </fieldset>
        <fieldset>
          <legend>Cut out of</legend>
          <Swatches
            name="ground"
            choices={plain}
            value={ground.value}
            onValue={(value) => (ground.value = value)}
            colour={{ id: "ground-colour", label: "Cut out of a colour of your own" }}
          />
        </fieldset>
      </div>
      <p class="hint">
        The layer is put on a plain ground and cut out of it again by how far each pixel is from the ground's colour, which
        is known exactly here. In a photograph it is not, so that this is the best case for it.
      </p>
    </>
  );
}

function Side({ pixels, name, label }: { pixels: Pixels; name: string; label: string }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const { current } = canvas;
    if (!current) return;
    const { width, height, data } = pixels;
    Object.assign(current, { width, height });
    current.getContext("2d")?.putImageData(new ImageData(data, width, height), 0, 0);
  }, [pixels]);
  const isChecker = behind.value === "checker";
  return (
    <figure>
      <canvas
        ref={canvas}
        class={isChecker ? "checker" : ""}
        style={{ backgroundColor: isChecker ? "" : behind.value }}
        role="img"
        aria-label={label}
      />
      <figcaption>{name}</figcaption>
    </figure>
  );
}

const plain: readonly (readonly [string, string])[] = [
  ["#ffffff", "White"],
  ["#808080", "Grey"],
  ["#000000", "Black"],
  ["#1f6f5c", "Green"],
];

function toColour(hex: string): Colour {
  const value = Number.parseInt(hex.slice(1), 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
}
