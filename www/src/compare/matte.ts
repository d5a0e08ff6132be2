// What section 4.6 of the paper compares: transparency that was made with the picture, and transparency that is cut out
// of an opaque picture afterwards.

/** Pixels with straight alpha, four bytes each. */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8ClampedArray<ArrayBuffer>;
}

export type Colour = readonly [red: number, green: number, blue: number];

/** What a picture shows over a plain ground: opaque. */
export function over({ width, height, data }: Pixels, ground: Colour): Pixels {
  const opaque = new Uint8ClampedArray(data.length);
  for (let at = 0; at < data.length; at += 4) {
    const alpha = data[at + 3]! / 255;
    for (let channel = 0; channel < 3; channel++) {
      opaque[at + channel] = alpha * data[at + channel]! + (1 - alpha) * ground[channel]!;
    }
    opaque[at + 3] = 255;
  }
  return { width, height, data: opaque };
}

/**
 * Cuts an opaque picture out of its plain ground, whose colour is known exactly: by how far each pixel is from it. The
 * alpha is the least with which some colour over the ground gives what is seen, and the colour is that one. So over the
 * same ground the result looks the same: what is wrong with it is seen over another.
 */
export function cutOut({ width, height, data }: Pixels, ground: Colour): Pixels {
  const cut = new Uint8ClampedArray(data.length);
  for (let at = 0; at < data.length; at += 4) {
    let alpha = 0;
    for (let channel = 0; channel < 3; channel++) {
      const [seen, under] = [data[at + channel]!, ground[channel]!];
      alpha = Math.max(alpha, seen > under ? (seen - under) / (255 - under) : seen < under ? (under - seen) / under : 0);
    }
    for (let channel = 0; channel < 3; channel++) {
      const under = ground[channel]!;
      cut[at + channel] = alpha > 0 ? under + (data[at + channel]! - under) / alpha : under;
    }
    cut[at + 3] = 255 * alpha;
  }
  return { width, height, data: cut };
}

/** Where there is less alpha than this, there is nothing. */
const nothing = 0.02 * 255;

/**
 * How far two alphas are apart on average, where either has something: from 0, the same, to 1. Zero where both have
 * nothing anywhere.
 */
export function alphaError(one: Pixels, other: Pixels): number {
  let [sum, count] = [0, 0];
  for (let at = 3; at < one.data.length; at += 4) {
    const [a, b] = [one.data[at]!, other.data[at]!];
    if (a <= nothing && b <= nothing) continue;
    sum += Math.abs(a - b);
    count++;
  }
  return count > 0 ? sum / count / 255 : 0;
}
