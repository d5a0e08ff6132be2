// Tensors in the page's memory: `{shape, data}`.

// A linear congruential generator; the benchmark asks for no more.
let state = 1;

/** The next numbers, evenly between `mean - reach` and `mean + reach`. */
export function random(shape, reach = 1, mean = 0) {
  const data = new Float32Array(sizeOf(shape));
  for (let index = 0; index < data.length; index++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    data[index] = mean + (state / 2 ** 31 - 1) * reach;
  }
  return { shape, data };
}

function sizeOf(shape) {
  return shape.reduce((product, size) => product * size, 1);
}

/** The turns of the passes in which transparency is decoded: whether flipped, and quarters. */
export function turnsOf(passes) {
  return Array.from({ length: passes }, (_, pass) => [pass >= 4, pass % 4]);
}

/** Square maps, flipped sideways if asked and then turned counter-clockwise by quarters, or all that `back`. */
export function turned({ shape, data }, [flipped, quarters], back = false) {
  const side = shape.at(-1);
  const out = new Float32Array(data.length);
  for (let index = 0; index < data.length; index++) {
    let [x, y] = [index % side, Math.floor(index / side) % side];
    const plane = index - (index % (side * side));
    for (let quarter = 0; quarter < quarters; quarter++) [x, y] = [side - 1 - y, x];
    if (flipped) x = side - 1 - x;
    const source = plane + y * side + x;
    if (back) out[source] = data[index];
    else out[index] = data[source];
  }
  return { shape, data: out };
}

/** The largest difference of two lists, as a share of the largest value. */
export function difference(a, b) {
  if (a.length !== b.length) return Infinity;
  let [largest, peak] = [0, 0];
  for (let index = 0; index < a.length; index++) {
    const gap = Math.abs(a[index] - b[index]);
    // Not a number is no agreement.
    if (!(gap <= largest)) largest = Number.isNaN(gap) ? Infinity : gap;
    peak = Math.max(peak, Math.abs(b[index]));
  }
  return largest / peak;
}

/** The root of the mean square of the differences of two lists. */
export function rootMeanSquare(a, b) {
  if (a.length !== b.length) return Infinity;
  return Math.sqrt(a.reduce((sum, value, index) => sum + (value - b[index]) ** 2, 0) / a.length);
}
