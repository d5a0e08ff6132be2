/** How a layer's colours mix with those below: the values of CSS's `mix-blend-mode`. */
export const blendModes = Object.freeze([
  "normal",
  "multiply",
  "screen",
  "overlay",
  "darken",
  "lighten",
  "color-dodge",
  "color-burn",
  "hard-light",
  "soft-light",
  "difference",
  "exclusion",
  "hue",
  "saturation",
  "color",
  "luminosity",
] as const);

/** One of {@link blendModes}. */
export type BlendMode = (typeof blendModes)[number];

/** Which parts of a layer and of what lies below it remain: the Porter-Duff operators. */
export const operators = Object.freeze([
  "source-over",
  "clear",
  "copy",
  "destination",
  "destination-over",
  "source-in",
  "destination-in",
  "source-out",
  "destination-out",
  "source-atop",
  "destination-atop",
  "xor",
  "lighter",
] as const);

/** One of {@link operators}. */
export type Operator = (typeof operators)[number];
