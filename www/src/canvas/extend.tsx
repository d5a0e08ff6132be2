// By how much the selected layer is to grow on its sides, in numbers: what the handles on the canvas say, too.

import { CommandButton } from "../panels/button.tsx";
import { HoldBefore } from "../panels/hold-before.tsx";
import { fillsScene, type Sides } from "../state/document.ts";
import { doc, freePicture, margins, selectedPicture, tool } from "../state/studio.ts";

const names: Record<keyof Sides, string> = { left: "Left", top: "Top", right: "Right", bottom: "Bottom" };
/** How far a picture can grow on a side, as the engine has it. */
const most = 4096;

export function ExtendBar() {
  if (tool.value !== "extend") return null;
  const node = freePicture.value;
  return (
    <div class="tool-bar" id="extend-bar" role="toolbar" aria-label="Extend">
      {Object.entries(names).map(([side, name]) => (
        <label key={side} class="small">
          <span>{name}</span>
          <input
            type="number"
            name={`extend-${side}`}
            min="0"
            max={most}
            step="1"
            disabled={!node}
            value={margins.value[side as keyof Sides]}
            onInput={({ currentTarget }) => {
              const value = Math.round(currentTarget.valueAsNumber);
              if (value >= 0 && value <= most) margins.value = { ...margins.value, [side]: value };
            }}
          />
        </label>
      ))}
      <div class="tools">
        {node && <HoldBefore node={node} />}
        <CommandButton command="moveTool" icon="check" />
      </div>
      <p class="hint" role="status">
        {!node
          ? selectedPicture.value
            ? "This layer is locked"
            : "Choose a layer to extend"
          : fillsScene(doc.value, node.id)
            ? "Pull a side, or say how many pixels. The scene grows with it."
            : "Pull a side, or say how many pixels. What there was stays."}
      </p>
    </div>
  );
}
