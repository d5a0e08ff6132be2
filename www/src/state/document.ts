// A scene as the page edits it: immutable plain data, no browser. Every function gives a new document, which shares
// with the one before what it has not changed.

import type { BlendMode, Operator, Recipe } from "glassine";
import {
  apply,
  boundsOf,
  corners,
  identity,
  invert,
  type Matrix,
  multiply,
  type Placement,
  type Point,
  type Rect,
  type Size,
  toMatrix,
  toPlacement,
  translation,
} from "./geometry.ts";

/** What a picture was made from. */
export interface Origin extends Size {
  /** The key of the picture that was repainted, changed, extended or enlarged. */
  readonly picture: string;
  /** The key of the mask that said where. */
  readonly mask?: string | undefined;
}

/** One of the pictures that a layer can have. */
export interface Variant extends Size {
  /** The key of its picture. */
  readonly picture: string;
  readonly recipe?: Recipe | undefined;
  readonly from?: Origin | undefined;
}

/** What pictures and groups have in common. */
interface Common extends Placement {
  readonly id: string;
  readonly name: string;
  readonly opacity: number;
  readonly blend: BlendMode;
  readonly operator: Operator;
  readonly visible: boolean;
  /** Whether it is kept from being changed by hand. */
  readonly locked: boolean;
  /** What a scene file says of it that is not known here. */
  readonly other?: Readonly<Record<string, unknown>> | undefined;
}

export interface PictureNode extends Common, Variant {
  readonly kind: "picture";
  readonly role?: string | undefined;
  /** The key of a mask of the picture's size, which says where it is to be made anew. */
  readonly mask?: string | undefined;
  /** What there is to choose from, the chosen one among them; none if there is no choice. */
  readonly variants: readonly Variant[];
}

export interface GroupNode extends Common {
  readonly kind: "group";
  /** Bottom first. */
  readonly layers: readonly Node[];
}

export type Node = PictureNode | GroupNode;

export interface Doc extends Size {
  /** What lies under all layers, `#rrggbb` or `#rrggbbaa`. */
  readonly background: string;
  readonly space: "srgb" | "linear";
  /** Whether somebody has chosen the size: else it becomes that of the first layer. */
  readonly sized?: boolean | undefined;
  /** Bottom first. */
  readonly layers: readonly Node[];
  readonly other?: Readonly<Record<string, unknown>> | undefined;
}

/** A place among layers: in a group, or at the top level; before the layer that has the index now. */
export interface Spot {
  readonly parent: string | undefined;
  readonly index: number;
}

export function newDoc(size: Size = { width: 512, height: 512 }): Doc {
  return { width: size.width, height: size.height, background: "#00000000", space: "srgb", layers: [] };
}

export function newId(): string {
  return crypto.randomUUID().slice(0, 13);
}

const settings = { opacity: 1, blend: "normal", operator: "source-over", visible: true, locked: false } as const;
const place: Placement = { x: 0, y: 0, scale: 1, rotate: 0, flip: false };

export function newPicture(variant: Variant, more: Partial<PictureNode> & { name: string }): PictureNode {
  return { ...settings, ...place, ...variant, variants: [], ...more, id: more.id ?? newId(), kind: "picture" };
}

export function newGroup(name: string, layers: readonly Node[], more: Partial<GroupNode> = {}): GroupNode {
  return { ...settings, ...place, name, layers, ...more, id: more.id ?? newId(), kind: "group" };
}

/** All layers, those of groups after the group. */
export function* walk(layers: readonly Node[]): Generator<Node> {
  for (const node of layers) {
    yield node;
    if (node.kind === "group") yield* walk(node.layers);
  }
}

/** The pictures that documents need: those that could be chosen, masks, and what others were made from among them. */
export function picturesOf(...docs: readonly Pick<Doc, "layers">[]): Set<string> {
  const nodes = docs.flatMap(({ layers }) => [...walk(layers)]);
  const keys = nodes.flatMap((node) =>
    node.kind === "picture" ? [node.mask, ...[node, ...node.variants].flatMap(picturesOfVariant)] : [],
  );
  return new Set(keys.filter((key) => key !== undefined));
}

function picturesOfVariant({ picture, from }: Variant): (string | undefined)[] {
  return [picture, from?.picture, from?.mask];
}

/** A layer with the groups that it is in, outermost first. */
export interface Found {
  readonly node: Node;
  readonly parents: readonly GroupNode[];
  /** Its place among its neighbours. */
  readonly index: number;
}

export function find(
  { layers }: Pick<Doc, "layers">,
  id: string,
  parents: readonly GroupNode[] = [],
): Found | undefined {
  for (const [index, node] of layers.entries()) {
    if (node.id === id) return { node, parents, index };
    const inside = node.kind === "group" ? find(node, id, [...parents, node]) : undefined;
    if (inside) return inside;
  }
  return undefined;
}

export function sizeOf(doc: Doc, node: Node): Size {
  return node.kind === "group" ? doc : node;
}

/** Where the pixels of a layer go in the scene. */
export function worldMatrix(doc: Doc, { node, parents }: Found): Matrix {
  return [...parents, node].reduce((matrix, each) => multiply(matrix, toMatrix(each, sizeOf(doc, each))), identity);
}

function parentMatrix(doc: Doc, { parents }: Found): Matrix {
  return parents.reduce((matrix, each) => multiply(matrix, toMatrix(each, doc)), identity);
}

/** The corners of a layer in the scene, clockwise from its own top left; those of a group's content. */
export function outline(doc: Doc, id: string): Point[] {
  const found = find(doc, id);
  if (!found) return [];
  const matrix = worldMatrix(doc, found);
  const { node } = found;
  const content = node.kind === "group" ? contentBounds(doc, node) : ownBounds(node);
  return content ? corners(content).map((corner) => apply(matrix, corner)) : [];
}

function ownBounds({ width, height }: PictureNode): Rect {
  return { x: 0, y: 0, width, height };
}

/** The box around what is in a group, in the group's own space. */
function contentBounds(doc: Doc, group: GroupNode): Rect | undefined {
  const points = group.layers.flatMap((node): Point[] => {
    const inner = node.kind === "group" ? contentBounds(doc, node) : ownBounds(node);
    const matrix = toMatrix(node, sizeOf(doc, node));
    return inner ? corners(inner).map((corner) => apply(matrix, corner)) : [];
  });
  return points.length > 0 ? boundsOf(points) : undefined;
}

/** The upright box around some layers. */
export function boundsOfLayers(doc: Doc, ids: Iterable<string>): Rect | undefined {
  const points = [...ids].flatMap((id) => outline(doc, id));
  return points.length > 0 ? boundsOf(points) : undefined;
}

/** Those of some layers that are in none of the others. */
export function outermost(doc: Doc, ids: Iterable<string>): string[] {
  const all = new Set(ids);
  return order(
    doc,
    [...all].filter((id) => !find(doc, id)?.parents.some((parent) => all.has(parent.id))),
  );
}

/** Ids from the lowest layer to the topmost; those that are not there are left out. */
export function order({ layers }: Doc, ids: Iterable<string>): string[] {
  const wanted = new Set(ids);
  return [...walk(layers)].flatMap(({ id }) => (wanted.has(id) ? [id] : []));
}

/** Changes layers; where `change` gives the layer that it was given, nothing changes. */
export function update(doc: Doc, ids: Iterable<string>, change: (node: Node) => Node): Doc {
  const wanted = new Set(ids);
  return withLayers(
    doc,
    mapLayers(doc.layers, (node) => (wanted.has(node.id) ? change(node) : node)),
  );
}

function mapLayers(layers: readonly Node[], change: (node: Node) => Node): readonly Node[] {
  const changed = layers.map((node) => {
    const inner = node.kind === "group" ? mapLayers(node.layers, change) : undefined;
    return change(inner && node.kind === "group" && inner !== node.layers ? { ...node, layers: inner } : node);
  });
  return changed.every((node, index) => node === layers[index]) ? layers : changed;
}

function withLayers(doc: Doc, layers: readonly Node[]): Doc {
  return layers === doc.layers ? doc : { ...doc, layers };
}

/** Does a transformation of the scene to layers, each where it is. */
export function transform(doc: Doc, ids: Iterable<string>, by: Matrix): Doc {
  let result = doc;
  for (const id of outermost(doc, ids)) {
    const found = find(doc, id);
    if (!found) continue;
    const parent = parentMatrix(doc, found);
    const own = toMatrix(found.node, sizeOf(doc, found.node));
    const matrix = multiply(multiply(multiply(invert(parent), by), parent), own);
    result = update(result, [id], (node) => ({ ...node, ...toPlacement(matrix, sizeOf(doc, node)) }));
  }
  return result;
}

/** Places layers as they are placed in another state of the scene; whatever else has changed since stays. */
export function placeAs(doc: Doc, ids: Iterable<string>, other: Doc): Doc {
  return update(doc, ids, (node) => {
    const then = find(other, node.id)?.node;
    if (!then) return node;
    const { x, y, scale, rotate, flip } = then;
    return { ...node, x, y, scale, rotate, flip };
  });
}

export function remove(doc: Doc, ids: Iterable<string>): Doc {
  const gone = new Set(ids);
  return withLayers(doc, filterLayers(doc.layers, gone));
}

function filterLayers(layers: readonly Node[], gone: ReadonlySet<string>): readonly Node[] {
  const left = layers
    .filter(({ id }) => !gone.has(id))
    .map((node) => (node.kind === "group" ? { ...node, layers: filterLayers(node.layers, gone) } : node));
  return left.length === layers.length && left.every((node, index) => same(node, layers[index]!)) ? layers : left;
}

function same(a: Node, b: Node): boolean {
  return a === b || (a.kind === "group" && b.kind === "group" && a.id === b.id && a.layers === b.layers);
}

/** On top of everything if no spot is given. */
export function insert(
  doc: Doc,
  nodes: readonly Node[],
  spot: Spot = { parent: undefined, index: doc.layers.length },
): Doc {
  const put = (layers: readonly Node[]): Node[] => layers.toSpliced(spot.index, 0, ...nodes);
  if (spot.parent === undefined) return { ...doc, layers: put(doc.layers) };
  return update(doc, [spot.parent], (node) => (node.kind === "group" ? { ...node, layers: put(node.layers) } : node));
}

/** Moves layers to a spot, where they look as they did; not into themselves. */
export function move(doc: Doc, ids: Iterable<string>, spot: Spot): Doc {
  const moved = outermost(doc, ids);
  const parent = spot.parent === undefined ? undefined : find(doc, spot.parent);
  if (parent && [...parent.parents, parent.node].some(({ id }) => moved.includes(id))) return doc;
  const siblings = parent?.node.kind === "group" ? parent.node.layers : doc.layers;
  const index = siblings.slice(0, spot.index).filter(({ id }) => !moved.includes(id)).length;
  const into = parent ? worldMatrix(doc, parent) : identity;
  const nodes = moved.flatMap((id) => {
    const found = find(doc, id);
    return found ? [seenFrom(doc, found, into)] : [];
  });
  return insert(remove(doc, moved), nodes, { parent: spot.parent, index });
}

/** A layer as it has to be placed in another parent to look the same. */
function seenFrom(doc: Doc, found: Found, parent: Matrix): Node {
  const { node } = found;
  if (found.parents.length === 0 && parent === identity) return node;
  return { ...node, ...toPlacement(multiply(invert(parent), worldMatrix(doc, found)), sizeOf(doc, node)) };
}

export type Step = "up" | "down" | "front" | "back";

/** Moves layers among their neighbours, one up or down, or all the way. */
export function arrange(doc: Doc, ids: Iterable<string>, step: Step): Doc {
  const wanted = new Set(outermost(doc, ids));
  const shift = (layers: readonly Node[]): readonly Node[] => {
    const inner = mapGroups(layers, shift);
    if (!inner.some(({ id }) => wanted.has(id))) return inner;
    const [moved, rest] = [inner.filter(({ id }) => wanted.has(id)), inner.filter(({ id }) => !wanted.has(id))];
    if (step === "front") return [...rest, ...moved];
    if (step === "back") return [...moved, ...rest];
    return shiftByOne(inner, wanted, step);
  };
  return withLayers(doc, shift(doc.layers));
}

function mapGroups(layers: readonly Node[], change: (layers: readonly Node[]) => readonly Node[]): readonly Node[] {
  return layers.map((node) => (node.kind === "group" ? { ...node, layers: change(node.layers) } : node));
}

function shiftByOne(layers: readonly Node[], wanted: ReadonlySet<string>, step: "up" | "down"): Node[] {
  const result = step === "up" ? layers.toReversed() : [...layers];
  for (let i = 1; i < result.length; i++) {
    const [before, here] = [result[i - 1]!, result[i]!];
    if (wanted.has(here.id) && !wanted.has(before.id)) [result[i - 1], result[i]] = [here, before];
  }
  return step === "up" ? result.toReversed() : result;
}

/** Puts layers into a new group, which takes the place of the topmost of them. */
export function group(doc: Doc, ids: Iterable<string>, id: string, name = "Group"): Doc {
  const members = outermost(doc, ids);
  const top = members.at(-1);
  const found = top === undefined ? undefined : find(doc, top);
  if (!found) return doc;
  const spot = { parent: found.parents.at(-1)?.id, index: found.index + 1 };
  const withGroup = insert(doc, [newGroup(name, [], { id })], spot);
  return move(withGroup, members, { parent: id, index: 0 });
}

/** Lets the layers of groups out, where they look as they did, but for what the groups' blend modes made of them. */
export function ungroup(doc: Doc, ids: Iterable<string>): Doc {
  let result = doc;
  for (const id of outermost(doc, ids)) {
    const found = find(result, id);
    if (found?.node.kind !== "group") continue;
    const { opacity, visible, layers } = found.node;
    const members = layers.map((node) => node.id);
    const dimmed = update(result, members, (node) => ({
      ...node,
      opacity: node.opacity * opacity,
      visible: node.visible && visible,
    }));
    const spot = { parent: found.parents.at(-1)?.id, index: found.index };
    result = remove(move(dimmed, members, spot), [id]);
  }
  return result;
}

/** Copies of layers, with ids of their own. */
export function copyOf(node: Node): Node {
  const id = newId();
  return node.kind === "group" ? { ...node, id, layers: node.layers.map(copyOf) } : { ...node, id };
}

/** Puts a copy of each layer above it; gives the copies' ids, too. */
export function duplicate(doc: Doc, ids: Iterable<string>): { doc: Doc; ids: string[] } {
  let result = doc;
  const made: string[] = [];
  for (const id of outermost(doc, ids)) {
    const found = find(result, id);
    if (!found) continue;
    const copy = copyOf(found.node);
    made.push(copy.id);
    result = insert(result, [copy], { parent: found.parents.at(-1)?.id, index: found.index + 1 });
  }
  return { doc: result, ids: made };
}

/** Gives a layer another picture, whose centre and extent are where those of the one before were. */
export function choose(node: PictureNode, variant: Variant): PictureNode {
  const { picture, width, height, recipe, from } = variant;
  if (picture === node.picture) return node;
  const scale = node.scale * Math.sqrt((node.width * node.height) / (width * height));
  const isAlike = width === node.width && height === node.height;
  return {
    ...node,
    picture,
    width,
    height,
    recipe,
    from,
    mask: isAlike ? node.mask : undefined,
    scale: Math.round(scale * 1e6) / 1e6,
    x: node.x + (node.width - width) / 2,
    y: node.y + (node.height - height) / 2,
  };
}

/** Offers more pictures for a layer. */
export function offer(node: PictureNode, variants: readonly Variant[]): PictureNode {
  const { picture, width, height, recipe, from } = node;
  const before = node.variants.length > 0 ? node.variants : [{ picture, width, height, recipe, from }];
  const more = variants.filter((variant) => !before.some((each) => each.picture === variant.picture));
  return more.length > 0 ? { ...node, variants: [...before, ...more] } : node;
}

/** By how many of its own pixels a picture grows on each side; less than 0 where it loses some. */
export interface Sides {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

export const noSides: Sides = { left: 0, top: 0, right: 0, bottom: 0 };

export function grownSize({ width, height }: Size, { left, top, right, bottom }: Sides): Size {
  return { width: width + left + right, height: height + top + bottom };
}

/** Gives a layer a picture that has grown on its sides: what there was before stays where it is. */
export function grow(node: PictureNode, sides: Sides, { picture, recipe, from }: Variant): PictureNode {
  const size = grownSize(node, sides);
  const matrix = multiply(toMatrix(node, node), translation(-sides.left, -sides.top));
  return { ...node, ...size, picture, recipe, from, mask: undefined, ...toPlacement(matrix, size) };
}

/** A layer as it was before it was repainted, changed, extended or enlarged. */
export function before(node: PictureNode): PictureNode {
  const { from, recipe } = node;
  if (!from) return node;
  const { picture, width, height } = from;
  const { left, top, right, bottom } = { ...noSides, ...(recipe?.["extend"] as Partial<Sides> | undefined) };
  const sides = { left: -left, top: -top, right: -right, bottom: -bottom };
  const shrunk = grownSize(node, sides);
  // Whatever the recipe says, it is about these two sizes only if they fit.
  if (shrunk.width === width && shrunk.height === height) return grow(node, sides, { picture, width, height });
  return choose(node, { picture, width, height });
}

/** Whether a layer, upright, has just the extent of the scene. */
export function fillsScene(doc: Doc, id: string): boolean {
  const points = outline(doc, id);
  return corners({ x: 0, y: 0, ...doc }).every(
    ({ x, y }, index) => points[index] && Math.hypot(points[index].x - x, points[index].y - y) < 0.01,
  );
}

/** Lets the scene grow, or lose some, on its sides; what is in it looks as it did. */
export function resize(doc: Doc, sides: Sides): Doc {
  const size = grownSize(doc, sides);
  const shift = translation(sides.left, sides.top);
  // Groups turn about the centre of a space of the scene's size.
  const regrouped = mapLayers(doc.layers, (node) =>
    node.kind === "group" ? { ...node, ...toPlacement(toMatrix(node, doc), size) } : node,
  );
  const next = { ...doc, ...size, layers: regrouped };
  return {
    ...next,
    layers: regrouped.map((node) => ({
      ...node,
      ...toPlacement(multiply(shift, toMatrix(node, sizeOf(next, node))), sizeOf(next, node)),
    })),
  };
}

/** Whether CSS can show what the scene file says: it has no Porter-Duff operators and no linear light. */
export function isCss({ layers, space }: Doc): boolean {
  return space === "srgb" && [...walk(layers)].every(({ operator, visible }) => operator === "source-over" || !visible);
}
