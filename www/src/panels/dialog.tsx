// A dialog over the page, which the browser closes with Escape and gives the focus back from.

import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { type DialogName, dialog } from "./dialogs.ts";
import { Icon } from "./icons.tsx";

export function Dialog({ name, title, children }: { name: DialogName; title: string; children: ComponentChildren }) {
  const element = useRef<HTMLDialogElement>(null);
  const isOpen = dialog.value === name;
  useEffect(() => {
    if (isOpen) element.current?.showModal();
    else element.current?.close();
  }, [isOpen]);
  return (
    <dialog
      id={name}
      ref={element}
      aria-labelledby={`${name}-title`}
      onClose={() => dialog.value === name && (dialog.value = undefined)}
      onClick={({ target, currentTarget }) => target === currentTarget && (dialog.value = undefined)}
    >
      <div class="dialog-body">
        <header>
          <h2 id={`${name}-title`}>{title}</h2>
          <button
            type="button"
            class="ghost"
            aria-label="Close"
            title="Close"
            onClick={() => (dialog.value = undefined)}
          >
            <Icon name="close" />
          </button>
        </header>
        {isOpen && children}
      </div>
    </dialog>
  );
}
