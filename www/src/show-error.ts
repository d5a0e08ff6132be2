import { GlassineError } from "glassine";

/** Says in a box what went wrong, and what to do about it. */
export function showError(box: HTMLElement, error: unknown): void {
  const { message, hint } = error instanceof GlassineError ? error : { message: String(error), hint: "" };
  const [title, advice] = box.children;
  if (title) title.textContent = message;
  if (advice) advice.textContent = hint;
  box.hidden = false;
}
