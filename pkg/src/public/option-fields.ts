/** Noise of another seed that is mixed in, for `engine.generate`. */
export interface Variation {
  /** The other seed of the first picture's noise. */
  seed: number;
  /** How much of it, from 0, which changes nothing, to 1, which is the other seed's picture. */
  amount: number;
}

/** A second pass over the enlarged picture, for `engine.generate`. */
export interface Hires {
  /** The larger size by the first, above 1 and at most 8. */
  scale: number;
  /** How much of the enlarged picture is given up, above 0 and at most 1; 0.5 if left out. */
  strength?: number | undefined;
}

/** By how many pixels a picture grows on each side, 0 where left out. */
export interface Margins {
  /** On the left. */
  left?: number | undefined;
  /** On top. */
  top?: number | undefined;
  /** On the right. */
  right?: number | undefined;
  /** At the bottom. */
  bottom?: number | undefined;
}
