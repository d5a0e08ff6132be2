// Where the files beside the package's modules are, and how workers are started from them.

import { GlassineError } from "../../public/errors.js";

/** A worker and what it reads of the package, by the paths of all in the package. */
export interface WorkerAssets {
  /** Starts the worker by the URL of its script, spelled out. */
  readonly start: () => Worker;
  /** The worker's script. */
  readonly script: string;
  /** The files that the worker itself would look for beside its script. */
  readonly files: readonly string[];
}

/** A worker, and where its script is, for messages. */
export interface StartedWorker {
  readonly worker: Worker;
  readonly url: string;
}

/** Starts one of the package's workers. */
export type StartWorker = () => StartedWorker;

type AssetLocation = string | URL | ((path: string) => string | URL);

let assetLocation: AssetLocation | undefined;

/** Has assets looked for there from now on; where the bundler has put them, or beside the modules, if nothing is given. */
export function setAssetLocation(given: AssetLocation | undefined): void {
  assetLocation = given;
}

/** Starts a worker and tells it where its files are, if the app has said so. */
export function startWorker({ start, script, files }: WorkerAssets): StartedWorker {
  const { url, options } = assetLocation === undefined ? caught(start) : { url: urlOf(script), options: { type: "module" } as const };
  const assets = assetLocation === undefined ? {} : Object.fromEntries(files.map((path) => [path, urlOf(path).href]));
  const worker = new Worker(scriptUrl(url, options) as string, options);
  worker.postMessage({ type: "start", assets });
  return { worker, url: String(url) };
}

/** What a worker is started with. */
interface Start {
  readonly url: unknown;
  readonly options: WorkerOptions | undefined;
}

/**
 * What `start` would start. Bundlers follow a worker only where `new Worker(new URL(...))` is spelled out, and each makes
 * something else of it; but a worker of another origin, or in a page with Trusted Types, is not started like that.
 */
function caught(start: () => Worker): Start {
  const real = globalThis.Worker;
  let made: Start | undefined;
  globalThis.Worker = class {
    constructor(url: string | URL, options?: WorkerOptions) {
      made = { url, options };
    }
  } as unknown as typeof Worker;
  try {
    start();
  } finally {
    globalThis.Worker = real;
  }
  if (!made) throw new Error("the bundler starts no worker");
  return made;
}

/** The URL of the script that starts a worker; another one if the browser would refuse the worker's own. */
function scriptUrl(given: unknown, options: WorkerOptions | undefined): unknown {
  // What is neither a string nor a URL is a bundler's TrustedScriptURL.
  if (typeof given !== "string" && !(given instanceof URL)) return given;
  const url = new URL(given instanceof URL ? given.href : given, baseUrl());
  return trusted(isOwn(url) ? url.href : importing(url, options));
}

/** The base of relative URLs. A page that is a `blob:` or a `data:` URL is no base: its origin may be one. */
export function baseUrl(): string | undefined {
  const candidates = [globalThis.document?.baseURI, globalThis.location?.href, globalThis.location?.origin];
  return candidates.find((candidate) => candidate !== undefined && isBase(candidate));
}

function isBase(url: string): boolean {
  try {
    return new URL(".", url) instanceof URL;
  } catch {
    return false;
  }
}

function urlOf(path: string): URL {
  const given = typeof assetLocation === "function" ? assetLocation(path) : assetLocation;
  try {
    if (typeof assetLocation === "function") return new URL(given!, baseUrl());
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
function importing({ href }: URL, options: WorkerOptions | undefined): string {
  const text = JSON.stringify(href);
  // Bundlers that make classic scripts of workers say so in the options.
  const code = options?.type === "module" ? `import ${text};` : `importScripts(${text});`;
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
