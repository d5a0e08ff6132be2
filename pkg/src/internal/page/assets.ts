// Where the files beside the package's modules are, and how workers are started from them.

import { GlassineError } from "../../public/errors.js";
import type { AssetUrls } from "../shared/protocol.js";

/** A file of the package that is no module of the page. */
export interface Asset {
  /** Its path in the package, by which an app can say that it is elsewhere. */
  readonly path: string;
  /** Its URL beside the module that names it. Bundlers follow it because it is spelled out there. */
  readonly url: () => URL;
}

/** What a worker is started from, and what it reads of the package. */
export interface WorkerAssets {
  readonly script: Asset;
  readonly module: Asset;
  /** The files of the built-in model that it may need, by their names in the pack. */
  readonly mini?: Readonly<Record<string, Asset>>;
}

/** A worker, and where its script is, for messages. */
export interface StartedWorker {
  readonly worker: Worker;
  readonly url: string;
}

/** Starts one of the package's workers. */
export type StartWorker = () => StartedWorker;

type AssetLocation = string | URL | ((path: string) => string | URL);

let location: AssetLocation | undefined;

/** Has assets looked for there from now on; beside the modules if nothing is given. */
export function setAssetLocation(given: AssetLocation | undefined): void {
  location = given;
}

/** Starts a worker and tells it where its files are. */
export function startWorker({ script, module, mini = {} }: WorkerAssets): StartedWorker {
  const url = urlOf(script);
  const assets: AssetUrls = {
    module: urlOf(module).href,
    mini: Object.fromEntries(Object.entries(mini).map(([name, asset]) => [name, urlOf(asset).href])),
  };
  const worker = new Worker(trusted(isOwn(url) ? url.href : importing(url)) as string, { type: "module" });
  worker.postMessage({ type: "start", assets });
  return { worker, url: url.href };
}

/** The base of relative URLs. A page that is a `blob:` or a `data:` URL is no base: its origin may be one. */
export function baseUrl(): string | undefined {
  const candidates = [globalThis.document?.baseURI, globalThis.location?.href, globalThis.location?.origin];
  return candidates.find((candidate) => candidate !== undefined && URL.canParse(".", candidate));
}

function urlOf({ path, url }: Asset): URL {
  // Turbopack's is relative to the page's origin.
  if (location === undefined) return new URL(url().href, baseUrl());
  const given = typeof location === "function" ? location(path) : location;
  try {
    if (typeof location === "function") return new URL(given, baseUrl());
    return new URL(path, new URL(`${given}`.replace(/\/?$/, "/"), baseUrl()));
  } catch (cause) {
    throw new GlassineError("bad_option", `configure: assets gives no URL for ${path}: "${String(given)}"`, {
      hint: 'Give the URL of the folder that has the package\'s "dist" and "models", or a function that gives a URL for each path.',
      cause,
    });
  }
}

/** Whether the browser starts a worker from there: it must be of the page's origin, and pages without one have no workers' files. */
function isOwn(url: URL): boolean {
  return url.origin !== "null" && url.origin === globalThis.origin;
}

const imports = new Map<string, string>();

/**
 * A script of the page's own that imports one of another origin. A page of no origin may start none of its blobs as
 * modules, but a `data:` URL. A blob is kept, since a worker reads it when it likes.
 */
function importing({ href }: URL): string {
  const code = `import ${JSON.stringify(href)};`;
  if (globalThis.origin === "null") return `data:text/javascript,${encodeURIComponent(code)}`;
  const made = imports.get(href) ?? URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
  imports.set(href, made);
  return made;
}

// TypeScript's library does not have Trusted Types yet.
interface TrustedTypes {
  createPolicy(name: string, rules: { createScriptURL(url: string): string }): { createScriptURL(url: string): unknown };
}

let policy: ReturnType<TrustedTypes["createPolicy"]> | undefined;

/** What a page with Trusted Types takes for a worker's URL; where it forbids the policy, its default policy may take the URL itself. */
function trusted(url: string): unknown {
  const { trustedTypes } = globalThis as { trustedTypes?: TrustedTypes };
  if (!trustedTypes) return url;
  try {
    policy ??= trustedTypes.createPolicy("glassine", { createScriptURL: (url) => url });
  } catch {
    return url;
  }
  return policy.createScriptURL(url);
}
