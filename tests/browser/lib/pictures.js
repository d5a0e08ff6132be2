// Pictures that tests bring along, made here.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { PNG } from "pngjs";

/** Writes a PNG whose pixels are what `colourAt(x, y)` gives, each of 0 to 255, straight; gives its path. */
export function writePng(folder, name, width, height, colourAt) {
  const png = new PNG({ width, height });
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) png.data.set(colourAt(x, y).map(Math.round), 4 * (y * width + x));
  }
  const path = join(folder, name);
  writeFileSync(path, PNG.sync.write(png));
  return path;
}

/** A soft disc of one hue that changes slowly, and fades to nothing before the picture's edge. */
export function disc(width, height, [r, g, b], strength = 255) {
  return (x, y) => {
    const [dx, dy] = [(x + 0.5) / width - 0.5, (y + 0.5) / height - 0.5];
    const away = 2.15 * Math.hypot(dx, dy);
    const alpha = away >= 1 ? 0 : strength * Math.cos((away * Math.PI) / 2);
    const slope = (value, along) => Math.min(255, Math.max(0, value * (1 + along)));
    return [slope(r, dx), slope(g, dy), slope(b, -dx), alpha];
  };
}

/** A picture without transparency that changes slowly. */
export function slopes(width, height) {
  return (x, y) => [255 * (x / width), 255 * (y / height), 255 * (1 - x / width), 255];
}
