import { setAssetLocation } from "../internal/page/assets.js";
import { checkOptions, show } from "../internal/page/check-options.js";
import { GlassineError } from "./errors.js";

/** Where an app has put the package's files: under a URL, or wherever a function says. */
export type AssetLocation = string | URL | ((path: string) => string | URL);

/** The options of {@link configure}. */
export interface Configuration {
  /**
   * Where the package's workers, WebAssembly modules and built-in model are, where a bundler has not put them: the URL
   * of a folder that has the package's `dist` and `models`, on any origin that lets this page read it; or a function
   * that gives a URL for each file's path in the package, such as `dist/internal/worker/engine.js`. Beside the package's
   * modules if undefined.
   */
  assets?: AssetLocation | undefined;
}

/**
 * Says where the package's files are. What is started from then on looks for them there: call it before anything else.
 *
 * @throws GlassineError `bad_option` for what is neither a URL nor a function.
 *
 * @example
 * ```ts
 * configure({ assets: "/glassine/" });
 * ```
 */
export function configure(options: Configuration): void {
  const { assets } = checkOptions("configure", options, ["assets"]);
  if (assets !== undefined && typeof assets !== "string" && typeof assets !== "function" && !(assets instanceof URL)) {
    throw new GlassineError("bad_option", `assets cannot be ${show(assets)}`, { hint: "Give a URL, or a function that gives URLs." });
  }
  setAssetLocation(assets);
}
