// Panels that open below a button of the bar at the top.

import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { Icon } from "./icons.tsx";

/** A button with a panel below it, which closes with a click elsewhere, or Escape. */
export function Menu({
  id,
  label,
  icon,
  children,
}: {
  id: string;
  label: string;
  icon: "download" | "eye";
  children: ComponentChildren;
}) {
  const details = useRef<HTMLDetailsElement>(null);
  useEffect(() => closeElsewhere(details.current!), []);
  return (
    <details class="menu" id={id} ref={details}>
      <summary title={label}>
        <Icon name={icon} /> <span>{label}</span>
      </summary>
      <div class="sheet">{children}</div>
    </details>
  );
}

/** Has an open panel close with a click outside of it, and with Escape. */
export function closeElsewhere(details: HTMLDetailsElement): () => void {
  const outside = ({ target }: Event): void => {
    // Dialogs and notices may be about what the panel shows.
    const isElsewhere = target instanceof Element && !details.contains(target) && !target.closest("dialog, .notices");
    if (details.open && isElsewhere) details.open = false;
  };
  const escape = (event: KeyboardEvent): void => {
    if (event.key !== "Escape" || !details.open) return;
    event.stopPropagation();
    details.open = false;
    details.querySelector("summary")?.focus();
  };
  addEventListener("pointerdown", outside);
  details.addEventListener("keydown", escape);
  return () => {
    removeEventListener("pointerdown", outside);
    details.removeEventListener("keydown", escape);
  };
}
