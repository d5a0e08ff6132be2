// What is to be made, one after the other, and what comes of it.

import { signal } from "@preact/signals";
import type { GenerateOptions, Layer, Mode, Picture, Progress } from "glassine";
import { flatten } from "../compose.ts";
import { clearErrors, fail, isAbort, note } from "../panels/notices.tsx";
import type { Steering } from "../state/controls.ts";
import {
  choose,
  type Doc,
  fillsScene,
  find,
  grow,
  insert,
  newId,
  newPicture,
  noSides,
  offer,
  type Origin,
  type PictureNode,
  resize,
  type Sides,
  update,
  type Variant,
  walk,
} from "../state/document.ts";
import { clip, fit, type Rect, type Size } from "../state/geometry.ts";
import { addPicture, allCome, blobOf } from "../state/pictures.ts";
import { doc, edit, sceneId, select } from "../state/studio.ts";
import { active } from "./control.ts";
import { learn } from "./foretell.ts";
import { type Lora, loras } from "./loras.ts";
import { describe, engineNow, info, type Status, status } from "./model.ts";
import { toOption } from "./seen.ts";

/** What is asked for. */
export interface Wish {
  readonly mode: Mode;
  readonly prompt: string;
  readonly options: Omit<GenerateOptions, "prompt" | "mode" | "seed" | "width" | "height" | "count">;
  /** The seed of the first picture; those of the others follow. */
  readonly seed: number;
  /** How many pictures there are to be, to choose one from. */
  readonly count: number;
  /** Of each picture. */
  readonly size: Size;
  /** Where it is to stand; over the whole scene if undefined. */
  readonly box?: Rect | undefined;
  /** The layer that it is another picture for. */
  readonly instead?: string | undefined;
  /** What it is to be made from. */
  readonly init?: Origin | undefined;
}

/** A wish with what steers it, as that was when it was made. */
interface Ordered extends Wish {
  readonly loras: readonly Lora[];
  readonly controls: readonly Steering[];
}

export interface Job {
  readonly id: string;
  readonly wish: Ordered;
  readonly state: "waiting" | "running";
  readonly status: Status;
  readonly preview?: ImageData | undefined;
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
let running = false;

/** Queues a wish. */
export function enqueue(wish: Wish): void {
  clearErrors();
  const ordered = { ...wish, loras: loras.value, controls: active.value };
  jobs.value = [
    ...jobs.value,
    { id: newId(), wish: ordered, state: "waiting", status: { text: "Waiting", share: 0 } },
  ];
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
    await make(wish, controller.signal, say);
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
  wish: Ordered,
  signal: AbortSignal,
  say: (status: Status, more?: Partial<Job>) => void,
): Promise<void> {
  const loaded = await engineNow(signal);
  const scene = sceneId.value;
  const { count } = wish;
  const request = await toRequest(wish, doc.value, signal);
  const result = await loaded.generate({
    ...request,
    signal,
    previewEvery: 1,
    onProgress: (event) =>
      say(tell(event, count), event.phase === "denoising" && event.preview ? { preview: event.preview } : {}),
  });
  const { steps, guidance } = { ...loaded.info.defaults, ...wish.options };
  // What starts from a picture goes a part of the way.
  if (!wish.init) learn({ ...wish.size, mode: request.mode ?? wish.mode, steps, guidance, count }, result.timings);
  // What is made for a scene is the first layer; the others show it with the scene, which the canvas does.
  const frames = result.layers.length / count;
  const layers = result.layers.filter((_, index) => wish.mode === "joint" || index % frames === 0);
  const made = await Promise.all(layers.map((layer) => toVariant(layer, wish)));
  // Another scene may have been opened meanwhile.
  if (sceneId.value === scene) put(wish, layers, made);
  for (const warning of result.warnings) note({ kind: "warning", title: warning });
  first.resolve({ layer: result.layers[0], timings: result.timings });
}

/** How far it is, and in which of several pictures. */
function tell(event: Progress, count: number): Status {
  const status = describe(event);
  const [done, all] =
    event.phase === "denoising"
      ? [event.step, event.steps]
      : event.phase === "decoding"
        ? [event.pass, event.passes]
        : [1, 1];
  const index = Math.max(1, Math.ceil((done * count) / all));
  return count > 1 ? { ...status, text: `${status.text}, picture ${index} of ${count}` } : status;
}

async function toVariant(layer: Layer, { init }: Wish): Promise<Variant> {
  const recipe = layer.recipe && { ...layer.recipe };
  return { ...(await addPicture(await layer.toBlob())), recipe, from: init };
}

/** What the model is asked, with what ControlNets are to see. */
async function toRequest(wish: Ordered, now: Doc, signal: AbortSignal): Promise<GenerateOptions> {
  const request = await toUnsteered(wish, now, signal);
  if (wish.controls.length === 0) return request;
  const size = request.fit ? undefined : frameOf(wish);
  return { ...request, controls: await Promise.all(wish.controls.map((control) => toOption(control, size, signal))) };
}

/** The size of what the engine makes of a picture: whole cells of the latent, or what reading alpha takes. */
function frameOf({ mode, size: { width, height } }: Wish): Size {
  const multiple = mode === "opaque" ? 8 : info.value!.sizeMultiple;
  const side = (length: number): number => Math.ceil(length / multiple) * multiple;
  return { width: side(width), height: side(height) };
}

/** What the model is asked, with what it is to see of the scene. */
async function toUnsteered(wish: Ordered, now: Doc, signal: AbortSignal): Promise<GenerateOptions> {
  const { mode, prompt, options, seed, count, size, box, instead, init, loras } = wish;
  const added = loras.length > 0 && { loras: loras.map(({ file, name, strength, hash }) => ({ file, name, strength, hash })) };
  const plain = { ...options, ...added, prompt, seed, count };
  if (init) return { ...plain, mode, ...(await fromPicture(init, wish)) };
  const request = { ...plain, ...size, fit: true };
  if (mode !== "bg2fg" && mode !== "fg2bg") return { ...request, mode };
  const seen = instead === undefined ? now : onlyBeside(now, instead, mode);
  if (![...walk(seen.layers)].some(({ visible }) => visible)) {
    const single = mode === "bg2fg" && info.value?.modes.includes("single");
    return { ...request, mode: single ? "single" : "opaque" };
  }
  const picture = await cut(seen, box, mode, signal);
  return mode === "bg2fg" ? { ...request, mode, background: picture } : { ...request, mode, foreground: picture };
}

/** The picture that is changed, with its mask. Its size is the result's, unless it is fitted, or a part of it is cut out. */
async function fromPicture({ picture, mask }: Origin, { options, size }: Wish): Promise<Partial<GenerateOptions>> {
  await allCome();
  const init = { init: blobOf(picture) };
  if (mask !== undefined) return { ...init, mask: blobOf(mask), ...(options.maskCrop !== undefined && size) };
  return options.extend || options.enlarge ? init : { ...init, ...size, fit: true };
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

/** Puts what was made where it belongs: as new layers, or as other pictures of a layer. It is one step to undo. */
function put(wish: Wish, layers: readonly Layer[], made: readonly Variant[]): void {
  const { instead } = wish;
  if (instead !== undefined && find(doc.value, instead)?.node.kind === "picture") {
    edit((now) => putInto(now, instead, wish, made));
    return;
  }
  const whole = { x: 0, y: 0, ...sceneSize(doc.value, wish) };
  // Those of a mode that makes several belong together; else they are there to choose from.
  const each = wish.mode === "joint" ? layers : layers.slice(0, 1);
  const nodes = each.map((layer, index): PictureNode => {
    const picture = made[index]!;
    const name = layer.role === "foreground" || each.length === 1 ? wish.prompt : `${wish.prompt}, ${layer.role}`;
    return newPicture(picture, {
      name,
      role: layer.role,
      ...fit(picture, wish.box ?? whole, layer.role === "foreground" ? "contain" : "cover"),
      // The two others together are what it shows.
      visible: layer.role !== "blended" || each.length === 1,
      variants: made.length > each.length ? made : [],
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
  if (top) select([top.id]);
}

/** Gives a layer what was made for it. Where the layer that grows fills the scene, that grows with it. */
function putInto(now: Doc, id: string, { init, options: { extend } }: Wish, made: readonly Variant[]): Doc {
  const [variant] = made;
  const node = find(now, id)?.node;
  if (!variant || node?.kind !== "picture") return now;
  // What was extended already is only another picture of what it has become.
  if (!extend || node.picture !== init?.picture) return update(now, [id], () => choose(offer(node, made), variant));
  const sides = { ...noSides, ...extend };
  return update(withRoom(now, node, sides), [id], (each) =>
    each.kind === "picture" ? { ...grow(each, sides, variant), variants: made.length > 1 ? made : [] } : each,
  );
}

/** The scene with room for a layer that grows, if it fills the scene by whole pixels. */
export function withRoom(now: Doc, node: PictureNode, { left, top, right, bottom }: Sides): Doc {
  const scale = now.width / node.width;
  const sides = { left: left * scale, top: top * scale, right: right * scale, bottom: bottom * scale };
  const fits = fillsScene(now, node.id) && Object.values(sides).every(Number.isInteger);
  return fits ? { ...resize(now, sides), sized: true } : now;
}

const depthOf = ({ role }: PictureNode): number => ["blended", "background"].indexOf(role ?? "") >>> 0;

/** An empty scene takes the size of what is made first. */
function sceneSize(now: Doc, wish: { size: Size; box?: Rect | undefined }): Size {
  return now.layers.length === 0 && !now.sized && !wish.box ? wish.size : { width: now.width, height: now.height };
}
