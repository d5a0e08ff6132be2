// What can be done with the layer under the pointer, or with what is selected.

import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { topmostAt } from "../canvas/hit.ts";
import { type Command, type CommandName, commands, keyLabel } from "../commands.ts";
import type { Point } from "../state/geometry.ts";
import { doc, select, selection, toScene } from "../state/studio.ts";
import { find } from "../state/document.ts";

const opened = signal<(Point & { from: HTMLElement | undefined }) | undefined>(undefined);

const entries: readonly (readonly CommandName[])[] = [
  ["boxHere", "copyPicture", "duplicate", "maskTool", "extendTool"],
  ["front", "up", "down", "back"],
  ["flip", "flipDown", "group", "ungroup"],
  ["rename", "hide", "lock", "remove"],
];

/** Opens the menu for a layer, which is selected if it is not, or for nothing. */
export function openMenu(event: MouseEvent, id: string | undefined): void {
  event.preventDefault();
  if (id !== undefined && !isSelected(id)) select([id]);
  if (selection.value.length === 0) return;
  const from = document.activeElement instanceof HTMLElement ? document.activeElement : undefined;
  opened.value = { x: event.clientX, y: event.clientY, from };
}

/** Opens it for what is under the pointer on the canvas; for what is selected if a key has asked for it. */
export function openMenuOnCanvas(event: MouseEvent & { currentTarget: HTMLElement }): void {
  const { left, top } = event.currentTarget.getBoundingClientRect();
  openMenu(
    event,
    event.button === 2 ? topmostAt(toScene({ x: event.clientX - left, y: event.clientY - top })) : undefined,
  );
}

function isSelected(id: string): boolean {
  const found = find(doc.value, id);
  return found !== undefined && [...found.parents, found.node].some((node) => selection.value.includes(node.id));
}

function close(): void {
  const from = opened.value?.from;
  opened.value = undefined;
  from?.focus();
}

export function ContextMenu() {
  const menu = useRef<HTMLDivElement>(null);
  const at = opened.value;
  useEffect(() => {
    const { current } = menu;
    if (!current || !at) return;
    // Where it would not fit, it opens to the other side.
    const { width, height } = current.getBoundingClientRect();
    current.style.left = `${Math.max(4, at.x + width > innerWidth ? at.x - width : at.x)}px`;
    current.style.top = `${Math.max(4, at.y + height > innerHeight ? innerHeight - height - 8 : at.y)}px`;
    current.querySelector<HTMLElement>("button")?.focus();
    const outside = ({ target }: Event): void => {
      if (target instanceof Node && !current.contains(target)) opened.value = undefined;
    };
    addEventListener("pointerdown", outside, true);
    return () => removeEventListener("pointerdown", outside, true);
  }, [at]);
  if (!at) return null;
  return (
    <div
      ref={menu}
      class="context-menu"
      role="menu"
      aria-label="Layer"
      onKeyDown={followKeys}
      onContextMenu={(event) => event.preventDefault()}
    >
      {entries.map((names) => (
        <div key={names[0]} role="group">
          {names.map((name) => (
            <Item key={name} command={commands[name]} />
          ))}
        </div>
      ))}
    </div>
  );
}

function Item({ command: { title, keys, enabled, run } }: { command: Command }) {
  return (
    <button
      type="button"
      role="menuitem"
      tabIndex={-1}
      disabled={enabled ? !enabled() : false}
      onClick={() => {
        close();
        run();
      }}
    >
      {title} <kbd>{keyLabel(keys[0] ?? "")}</kbd>
    </button>
  );
}

function followKeys(event: KeyboardEvent & { currentTarget: HTMLElement }): void {
  event.stopPropagation();
  if (event.key === "Escape" || event.key === "Tab") {
    event.preventDefault();
    return close();
  }
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step === undefined) return;
  event.preventDefault();
  const items = [...event.currentTarget.querySelectorAll<HTMLButtonElement>("button:enabled")];
  const now = items.indexOf(document.activeElement as HTMLButtonElement);
  items[(now + step + items.length) % items.length]?.focus();
}
