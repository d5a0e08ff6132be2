// What the next picture is for, if it is not simply something new: a box, or a layer that it changes.

import { useEffect, useRef } from "preact/hooks";
import type { ComponentChildren } from "preact";
import { inWords } from "../canvas/mask.tsx";
import { Icon } from "../panels/icons.tsx";
import { grownSize, type PictureNode } from "../state/document.ts";
import { maskedOf } from "../state/masks.ts";
import { isWhole, urlOf } from "../state/pictures.ts";
import { box, margins, tool } from "../state/studio.ts";
import { info } from "./model.ts";
import { changing, changingId } from "./redo.ts";
import { isExtending, next, read, settings, takesWhole } from "./settings.ts";

export function Target() {
  const node = changing.value;
  const target = box.value;
  if (node) return <Changing node={node} />;
  if (!target) return null;
  return (
    <div class="target-row">
      <Chip end="Without the box" onEnd={() => (box.value = undefined)}>
        In a box of {Math.round(target.width)} × {Math.round(target.height)}
      </Chip>
    </div>
  );
}

function Chip({ end, onEnd, children }: { end: string; onEnd: () => void; children: ComponentChildren }) {
  return (
    <span class="chip">
      {children}
      <button type="button" class="ghost" aria-label={end} title={end} onClick={onEnd}>
        <Icon name="close" />
      </button>
    </span>
  );
}

/** What is done to the layer that is changed. */
export type Change = "change" | "repaint" | "extend";

export function changeOf(node: PictureNode): Change {
  if (tool.value === "extend") return "extend";
  return tool.value === "mask" || node.mask !== undefined ? "repaint" : "change";
}

/** Whether it is said on the canvas what is to become of the layer: where it is masked, or how far it is to grow. */
export function isReady(node: PictureNode): boolean {
  return { change: true, repaint: node.mask !== undefined, extend: isExtending.value }[changeOf(node)];
}

function Changing({ node }: { node: PictureNode }) {
  const row = useRef<HTMLDivElement>(null);
  const change = changeOf(node);
  // The form is read once these controls are in it.
  useEffect(() => {
    const form = row.current?.closest("form");
    if (form) settings.value = read(form);
  }, [change]);
  const hasNoAlpha = next.value?.mode === "opaque" && !isWhole(node.picture);
  return (
    <div class="target-row" ref={row}>
      <Chip
        end="Make something new instead"
        onEnd={() => {
          tool.value = "move";
          changingId.value = undefined;
        }}
      >
        <img class="checker" src={urlOf(node.picture)} alt="" />
        {title(node, change)}
      </Chip>
      {change === "change" && <Strength key="change" label="How much of it to give up" usual="0.6" />}
      {change === "repaint" && <Strength key="repaint" label="How much of it to give up there" usual="1" />}
      {change === "repaint" && <Repainting node={node} />}
      {hasNoAlpha && <small class="hint">This model makes no transparency: what is made anew is opaque.</small>}
    </div>
  );
}

function title(node: PictureNode, change: Change): string {
  if (change === "change") return `Changing ${node.name}`;
  const share = maskedOf(node.id)?.share;
  if (change === "repaint") return `Repainting ${share === undefined ? "" : `${inWords(share)} of `}${node.name}`;
  const { width, height } = grownSize(node, margins.value);
  return `Extending ${node.name} to ${width} × ${height}`;
}

function Strength({ label, usual }: { label: string; usual: string }) {
  return (
    <label class="strength" for="strength">
      <span>{label}</span>
      <input type="range" name="strength" id="strength" min="0.05" max="1" step="0.05" defaultValue={usual} />
      <output>{settings.value?.strength}</output>
    </label>
  );
}

/** How a part is repainted. */
function Repainting({ node }: { node: PictureNode }) {
  const model = info.value;
  const mustCrop = model !== undefined && !takesWhole(node, model);
  const isCropped = mustCrop || settings.value?.crops === true;
  return (
    <>
      <label class="small">
        <span>Soft edge</span>
        <input type="number" name="maskSoftness" min="0" max="256" step="1" defaultValue="8" /> px
      </label>
      <label
        class="check"
        title={
          mustCrop
            ? "This model cannot make the whole picture at once"
            : "Makes the part around the mask at the model's own size, with more detail"
        }
      >
        <input type="checkbox" name="crops" disabled={mustCrop} {...(mustCrop && { checked: true })} /> Only around it
      </label>
      <label class="small" hidden={!isCropped}>
        <span>with</span>
        <input type="number" name="maskCrop" min="0" max="4096" step="1" defaultValue="32" /> px
      </label>
      <label class="check" hidden={next.value?.mode !== "single"}>
        <input type="checkbox" name="keepAlpha" /> Keep its outline
      </label>
    </>
  );
}
