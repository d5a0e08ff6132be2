// The pictures that layers of a scene name beside their own: masks, and what they were made from.

/** The options of a request that are pictures, which are also the fields of a recipe that name some. */
export const pictureOptions = ["foreground", "background", "init", "mask", "control"] as const;

/** What of a layer names pictures. */
interface Naming {
  readonly mask?: unknown;
  readonly recipe?: unknown;
  readonly layers?: readonly Naming[] | undefined;
}

/** Their paths, those in groups included. Not everything that stands there has to be one. */
export function pathsBeside(layers: readonly Naming[]): string[] {
  return layers.flatMap(({ mask, recipe, layers }) => {
    const fields = Object(recipe) as Record<string, unknown>;
    const named = [mask, ...pictureOptions.map((name) => fields[name])];
    return [...named.filter((path) => typeof path === "string"), ...pathsBeside(layers ?? [])];
  });
}
