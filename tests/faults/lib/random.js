// How often and at what moments faults are injected.

const seed = Number(process.env.GLASSINE_SEED ?? Date.now() % 2 ** 32);

/** Numbers from 0 up to 1 for one test, which says by what seed they can be had again. */
export function randomOf(t) {
  t.diagnostic(`GLASSINE_SEED=${seed}`);
  // A 32-bit counter with steps of an odd size, whose bits are mixed.
  let state = seed;
  const random = () => {
    state = (state + 0x9e3779b9) >>> 0;
    let bits = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
    bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
    return ((bits ^ (bits >>> 16)) >>> 0) / 2 ** 32;
  };
  return {
    random,
    /** A whole number from 0 up to `end`. */
    below: (end) => Math.floor(random() * end),
    /** One of a list. */
    oneOf: (list) => list[Math.floor(random() * list.length)],
  };
}

/** How often a fault is injected: `few` times, or as many times more as GLASSINE_FAULTS says. */
export const times = (few) => Math.ceil(few * Number(process.env.GLASSINE_FAULTS ?? 1));

/** All members of a list where it is to take long, else `few` of them, the first and the last included. */
export function some(list, few, { below }) {
  const wanted = times(few);
  if (list.length <= wanted) return list;
  const chosen = new Set([0, list.length - 1]);
  while (chosen.size < wanted) chosen.add(below(list.length));
  return [...chosen].sort((a, b) => a - b).map((index) => list[index]);
}
