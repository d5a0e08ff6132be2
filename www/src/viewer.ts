// The picture on its paper: which channels, how enlarged, on what.

import { channels, colour, paper, picture, scaling, stage } from "./page.ts";

let shown: ImageData | undefined;

/** Shows a picture, or a small preview of one. */
export function show(image: ImageData, label: string): void {
  shown = image;
  picture.setAttribute("aria-label", label);
  draw();
}

function draw(): void {
  if (!shown) return;
  picture.width = shown.width;
  picture.height = shown.height;
  picture.getContext("2d")?.putImageData(select(shown, chosen(channels)), 0, 0);
}

/** All channels, or the colour alone, or alpha as grey. */
function select(image: ImageData, which: string): ImageData {
  if (which === "rgba") return image;
  const result = new ImageData(image.data.slice(), image.width, image.height);
  for (let i = 0; i < result.data.length; i += 4) {
    if (which === "alpha") result.data.fill(image.data[i + 3] ?? 0, i, i + 3);
    result.data[i + 3] = 255;
  }
  return result;
}

function setPaper(value: string, own: boolean): void {
  stage.dataset["paper"] = value;
  stage.style.setProperty("--paper", value === "checker" ? null : value);
  colour.classList.toggle("chosen", own);
}

function chosen(group: HTMLFieldSetElement): string {
  return group.querySelector<HTMLInputElement>("input:checked")?.value ?? "";
}

channels.addEventListener("change", draw);
scaling.addEventListener("change", () => stage.classList.toggle("crisp", chosen(scaling) === "crisp"));
paper.addEventListener("change", (event) => {
  if (event.target !== colour) setPaper(chosen(paper), false);
});
colour.addEventListener("input", () => {
  for (const input of paper.querySelectorAll<HTMLInputElement>("input[type=radio]")) input.checked = false;
  setPaper(colour.value, true);
});
