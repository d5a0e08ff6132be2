// A dialog over the page, which the browser closes with Escape and gives the focus back from.

import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { type DialogName, dialog } from "./dialogs.ts";
import { Icon } from "./icons.tsx";

interface DialogProps {
  readonly name: DialogName;
  readonly title: string;
  readonly children: ComponentChildren;
  /** Is called when it closes, however it does. */
  readonly onClose?: () => void;
}

export function Dialog({ name, title, children, onClose = () => {} }: DialogProps) {
  const element = useRef<HTMLDialogElement>(null);
  const isOpen = dialog.value === name;
  useEffect(() => {
    const { current } = element;
    if (!isOpen || !current) return;
    current.showModal();
    return () => {
      current.close();
      onClose();
    };
  }, [isOpen]);
  const close = (): void => {
    if (dialog.value === name) dialog.value = undefined;
  };
  return (
    <dialog
      id={name}
      ref={element}
      aria-labelledby={`${name}-title`}
      onClose={close}
      onClick={({ target, currentTarget }) => target === currentTarget && close()}
    >
      <div class="dialog-body">
        <header>
          <h2 id={`${name}-title`}>{title}</h2>
          <button type="button" class="ghost" aria-label="Close" title="Close" onClick={close}>
            <Icon name="close" />
          </button>
        </header>
        {isOpen && children}
      </div>
    </dialog>
  );
}
