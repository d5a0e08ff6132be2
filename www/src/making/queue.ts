// What is to be made, one after the other, and what comes of it.

import { signal } from "@preact/signals";
import type { GenerateOptions, Layer, Mode, Picture } from "glassine";
import { flatten } from "../compose.ts";
import { clearErrors, fail, isAbort, note } from "../panels/notices.tsx";
import {
  choose,
  type Doc,
  find,
  insert,
  newId,
  newPicture,
  offer,
  type PictureNode,
  update,
  type Variant,
  walk,
} from "../state/document.ts";
import { clip, fit, type Rect, type Size } from "../state/geometry.ts";
import { addPicture, blobOf } from "../state/pictures.ts";
import { doc, edit, sceneId, select } from "../state/studio.ts";
import { type Control, control } from "./control.ts";
import { frames, hasControlNet, learn } from "./foretell.ts";
import { type Lora, loras } from "./loras.ts";
import { describe, engineNow, info, type Status, status } from "./model.ts";

/** What is asked for. */
export interface Wish {
  readonly mode: Mode;
  readonly prompt: string;
  readonly options: Omit<GenerateOptions, "prompt" | "mode" | "seed" | "width" | "height">;
  readonly seed: number;
  readonly size: Size;
  /** Where it is to stand; over the whole scene if undefined. */
  readonly box?: Rect | undefined;
  /** The layer that it is another picture for. */
  readonly instead?: string | undefined;
  /** The picture that it is to start from, and how much of it is given up. */
  readonly init?: { readonly picture: string; readonly strength: number } | undefined;
}

/** A wish with what steers it, as that was when it was made. */
interface Ordered extends Wish {
  readonly loras: readonly Lora[];
  readonly control: Control | undefined;
}

export interface Job {
  readonly id: string;
  readonly wish: Ordered;
  readonly state: "waiting" | "running";
  readonly status: Status;
  readonly preview?: ImageData | undefined;
}

/** Pictures that are made of one wish, to choose one from. */
interface Series {
  layer?: string;
}

export const jobs = signal<readonly Job[]>([]);

/** What the first picture was, for scripts that open the page. */
export interface FirstResult {
  readonly layer: Layer;
  readonly timings: Readonly<Record<string, number>>;
}
const first = Promise.withResolvers<FirstResult>();
export const firstResult = first.promise;
export const rejectFirst = first.reject;
first.promise.catch(() => {});

const controllers = new Map<string, AbortController>();
const seriesOf = new Map<string, Series>();
let running = false;

/** Queues a wish, and again with the seeds that follow if several pictures are to be chosen from. */
export function enqueue(wish: Wish, count = 1): void {
  clearErrors();
  const series: Series = {};
  const steering = { loras: loras.value, control: hasControlNet.value ? control.value : undefined };
  const added = Array.from({ length: count }, (_, index): Job => {
    const id = newId();
    seriesOf.set(id, series);
    return {
      id,
      wish: { ...wish, ...steering, seed: wish.seed + index * frames[wish.mode] },
      state: "waiting",
      status: { text: "Waiting", share: 0 },
    };
  });
  jobs.value = [...jobs.value, ...added];
  void run();
}

/** Stops a job, or takes it out of the queue. */
export function cancel(id: string): void {
  const controller = controllers.get(id);
  if (controller) controller.abort();
  else drop(id);
}

/** Stops all that is made, and takes all that waits out of the queue. */
export function cancelAll(): void {
  for (const { id } of jobs.value.toReversed()) cancel(id);
}

export function cancelRunning(): void {
  const job = jobs.value.find(({ state }) => state === "running");
  if (job) cancel(job.id);
}

function change(id: string, more: Partial<Job>): void {
  jobs.value = jobs.value.map((job) => (job.id === id ? { ...job, ...more } : job));
}

function drop(id: string): void {
  jobs.value = jobs.value.filter((job) => job.id !== id);
  seriesOf.delete(id);
}

async function run(): Promise<void> {
  if (running) return;
  running = true;
  for (;;) {
    const job = jobs.value.find(({ state }) => state === "waiting");
    if (!job) break;
    await work(job);
  }
  running = false;
}

async function work({ id, wish }: Job): Promise<void> {
  const controller = new AbortController();
  controllers.set(id, controller);
  const say = (now: Status, more: Partial<Job> = {}): void => {
    status.value = now;
    change(id, { status: now, ...more });
  };
  say({ text: "Starting", share: 0 }, { state: "running" });
  try {
    await make(id, wish, controller.signal, say);
    status.value = { text: "Done", share: 1 };
  } catch (error) {
    first.reject(error);
    status.value = { text: isAbort(error) ? "Cancelled" : "", share: 0 };
    fail(error);
  } finally {
    controllers.delete(id);
    drop(id);
  }
}

async function make(
  id: string,
  wish: Ordered,
  signal: AbortSignal,
  say: (status: Status, more?: Partial<Job>) => void,
): Promise<void> {
  const loaded = await engineNow(signal);
  const scene = sceneId.value;
  const request = await toRequest(wish, doc.value, signal);
  const result = await loaded.generate({
    ...request,
    signal,
    previewEvery: 1,
    onProgress: (event) =>
      say(describe(event), event.phase === "denoising" && event.preview ? { preview: event.preview } : {}),
  });
  const [layer] = result.layers;
  const { steps, guidance } = { ...loaded.info.defaults, ...wish.options };
  learn({ ...wish.size, mode: request.mode ?? wish.mode, steps, guidance, count: 1 }, result.timings);
  // What is made for a scene is the first layer; the others show it with the scene, which the canvas does.
  const layers = wish.mode === "joint" ? result.layers : [layer];
  const made = await Promise.all(layers.map(toVariant));
  // Another scene may have been opened meanwhile.
  if (sceneId.value === scene) put(wish, seriesOf.get(id) ?? {}, layers, made);
  for (const warning of result.warnings) note({ kind: "warning", title: warning });
  first.resolve({ layer, timings: result.timings });
}

async function toVariant(layer: Layer): Promise<Variant> {
  return { ...(await addPicture(await layer.toBlob())), recipe: layer.recipe && { ...layer.recipe } };
}

/** What the model is asked, with what it is to see of the scene. */
async function toRequest(
  { mode, prompt, options, seed, size, box, instead, init, loras, control }: Ordered,
  now: Doc,
  signal: AbortSignal,
): Promise<GenerateOptions> {
  const steered = control && { control: control.picture, controlScale: control.scale };
  const added = loras.length > 0 && { loras: loras.map(({ file, strength, hash }) => ({ file, strength, hash })) };
  const request = { ...options, ...steered, ...added, prompt, seed, ...size, fit: true };
  if (init) return { ...request, mode, init: blobOf(init.picture), strength: init.strength };
  if (mode !== "bg2fg" && mode !== "fg2bg") return { ...request, mode };
  const seen = instead === undefined ? now : onlyBeside(now, instead, mode);
  if (![...walk(seen.layers)].some(({ visible }) => visible)) {
    const single = mode === "bg2fg" && info.value?.modes.includes("single");
    return { ...request, mode: single ? "single" : "opaque" };
  }
  const picture = await cut(seen, box, mode, signal);
  return mode === "bg2fg" ? { ...request, mode, background: picture } : { ...request, mode, foreground: picture };
}

/** The layers under one, which it is to be in front of, or those above it. */
function onlyBeside(now: Doc, id: string, mode: "bg2fg" | "fg2bg"): Doc {
  const found = find(now, id);
  const index = found && now.layers.indexOf(found.parents[0] ?? found.node);
  if (index === undefined || index < 0) return now;
  return { ...now, layers: mode === "bg2fg" ? now.layers.slice(0, index) : now.layers.slice(index + 1) };
}

/** What is seen of the scene in a box of it, and through it where the picture is to come behind. */
async function cut(now: Doc, box: Rect | undefined, mode: Mode, signal: AbortSignal): Promise<Picture> {
  const flat = await flatten(now, mode === "fg2bg" ? { signal, background: "#00000000" } : { signal });
  const inside = box && clip(box, { x: 0, y: 0, ...now });
  if (!inside || inside.width < 1 || inside.height < 1) return flat;
  const [width, height] = [Math.round(box.width), Math.round(box.height)];
  const context = new OffscreenCanvas(width, height).getContext("2d");
  if (!context) return flat;
  context.putImageData(flat.imageData, -Math.round(box.x), -Math.round(box.y));
  return context.getImageData(0, 0, width, height);
}

/** Puts what was made where it belongs: as new layers, or as one more picture of a layer to choose from. */
function put(wish: Wish, series: Series, layers: readonly Layer[], made: readonly Variant[]): void {
  const existing = wish.instead ?? series.layer;
  const [variant] = made;
  if (variant && existing !== undefined && find(doc.value, existing)?.node.kind === "picture") {
    edit((now) =>
      update(now, [existing], (node) => {
        if (node.kind !== "picture") return node;
        const offered = offer(node, variant);
        return wish.instead === undefined ? offered : choose(offered, variant);
      }),
    );
    return;
  }
  const whole = { x: 0, y: 0, ...sceneSize(doc.value, wish) };
  const nodes = layers.map((layer, index): PictureNode => {
    const each = made[index]!;
    const name = layer.role === "foreground" || layers.length === 1 ? wish.prompt : `${wish.prompt}, ${layer.role}`;
    return newPicture(each, {
      name,
      role: layer.role,
      ...fit(each, wish.box ?? whole, layer.role === "foreground" ? "contain" : "cover"),
      // The two others together are what it shows.
      visible: layer.role !== "blended" || layers.length === 1,
    });
  });
  const lowestFirst = [...nodes].sort((a, b) => depthOf(a) - depthOf(b));
  edit((now) =>
    insert(
      { ...now, width: whole.width, height: whole.height },
      lowestFirst,
      wish.mode === "fg2bg" ? { parent: undefined, index: 0 } : undefined,
    ),
  );
  const top = lowestFirst.at(-1);
  if (top) {
    series.layer = top.id;
    select([top.id]);
  }
}

const depthOf = ({ role }: PictureNode): number => ["blended", "background"].indexOf(role ?? "") >>> 0;

/** An empty scene takes the size of what is made first. */
function sceneSize(now: Doc, wish: { size: Size; box?: Rect | undefined }): Size {
  return now.layers.length === 0 && !now.sized && !wish.box ? wish.size : { width: now.width, height: now.height };
}
