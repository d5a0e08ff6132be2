/** Gives the focus to something else where the element that had it is about to go. */
export function keepFocus(selector = "#stage"): void {
  requestAnimationFrame(() => {
    if (document.activeElement === document.body)
      document.querySelector<HTMLElement>(selector)?.focus({ preventScroll: true });
  });
}
