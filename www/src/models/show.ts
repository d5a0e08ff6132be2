/** Opens the panel of models, and goes there. */
export function showModels(): void {
  const panel = document.querySelector<HTMLDetailsElement>("#models");
  if (!panel) return;
  panel.open = true;
  panel.querySelector("summary")?.focus();
}
