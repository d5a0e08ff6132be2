// A button that shows a layer as it was before it was changed, as long as it is held.

import type { PictureNode } from "../state/document.ts";
import { comparing } from "../state/studio.ts";

export function HoldBefore({ node }: { node: PictureNode }) {
  if (!node.from) return null;
  const end = (): void => void (comparing.value = false);
  const isPress = ({ key }: KeyboardEvent): boolean => key === " " || key === "Enter";
  return (
    <button
      type="button"
      class="quiet-button"
      name="before"
      title="As it was, while this is held, or C"
      aria-pressed={comparing.value}
      onPointerDown={({ currentTarget, pointerId }) => {
        currentTarget.setPointerCapture(pointerId);
        comparing.value = true;
      }}
      onPointerUp={end}
      onPointerCancel={end}
      onBlur={end}
      onKeyDown={(event) => {
        if (!isPress(event)) return;
        event.preventDefault();
        comparing.value = true;
      }}
      onKeyUp={(event) => isPress(event) && end()}
      onContextMenu={(event) => event.preventDefault()}
    >
      Before
    </button>
  );
}
