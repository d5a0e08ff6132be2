/** Runs in a page: a canvas of a checkerboard, on which pictures with alpha are shown. */
export function checkerboard(width, height) {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  for (let y = 0; y < height; y += 16) {
    for (let x = 0; x < width; x += 16) {
      context.fillStyle = (x + y) % 32 === 0 ? "#b8b8b8" : "#f0f0f0";
      context.fillRect(x, y, 16, 16);
    }
  }
  context.imageSmoothingEnabled = false;
  return canvas;
}
