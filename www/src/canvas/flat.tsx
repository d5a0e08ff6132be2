// The scene as the package flattens it: where CSS cannot show it, and for its channels.

import { useSignalEffect } from "@preact/signals";
import { useRef } from "preact/hooks";
import { flatten } from "../compose.ts";
import { fail } from "../panels/notices.tsx";
import { type Channels, channels, crisp, shown } from "../state/studio.ts";

export function Flat() {
  const canvas = useRef<HTMLCanvasElement>(null);
  useSignalEffect(() => {
    const controller = new AbortController();
    const [now, which] = [shown.value, channels.value];
    flatten(now, { signal: controller.signal }).then(({ imageData }) => {
      if (controller.signal.aborted || !canvas.current) return;
      canvas.current.width = now.width;
      canvas.current.height = now.height;
      canvas.current.getContext("2d")?.putImageData(pick(imageData, which), 0, 0);
      canvas.current.dataset["drawn"] = which;
    }, fail);
    return () => controller.abort();
  });
  return (
    <canvas id="picture" ref={canvas} class={`flat ${crisp.value ? "crisp" : ""}`} role="img" aria-label="The scene" />
  );
}

/** All channels, or the colour alone, or alpha as grey. */
function pick(image: ImageData, which: Channels): ImageData {
  if (which === "rgba") return image;
  const result = new ImageData(image.data.slice(), image.width, image.height);
  for (let i = 0; i < result.data.length; i += 4) {
    if (which === "alpha") result.data.fill(image.data[i + 3] ?? 0, i, i + 3);
    result.data[i + 3] = 255;
  }
  return result;
}
