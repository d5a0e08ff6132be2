// Where the pointer is on the canvas.

import { useLayoutEffect, useState } from "preact/hooks";
import type { Point } from "../state/geometry.ts";

/** Follows the pointer over the canvas as long as that is wanted; undefined where it has not been seen there. */
export function usePointer(isOn: boolean): Point | undefined {
  const [at, setAt] = useState<Point>();
  // At once: the pointer may move before the next frame.
  useLayoutEffect(() => {
    const stage = document.querySelector<HTMLElement>("#stage");
    if (!isOn || !stage) return;
    const see = (event: PointerEvent): void => {
      const { left, top } = stage.getBoundingClientRect();
      setAt({ x: event.clientX - left, y: event.clientY - top });
    };
    stage.addEventListener("pointermove", see);
    stage.addEventListener("pointerdown", see);
    return () => {
      stage.removeEventListener("pointermove", see);
      stage.removeEventListener("pointerdown", see);
      setAt(undefined);
    };
  }, [isOn]);
  return isOn ? at : undefined;
}
