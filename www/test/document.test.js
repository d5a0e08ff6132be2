import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.js";

const {
  arrange,
  before,
  boundsOfLayers,
  choose,
  duplicate,
  fillsScene,
  find,
  group,
  grow,
  insert,
  isCss,
  move,
  newDoc,
  newPicture,
  offer,
  outermost,
  outline,
  picturesOf,
  placeAs,
  remove,
  resize,
  transform,
  ungroup,
  update,
  worldMatrix,
} = await load("state/document.ts");
const { about, apply, rotation, scaling, translation } = await load("state/geometry.ts");

const picture = (id, more = {}) =>
  newPicture({ picture: `${id}.png`, width: 100, height: 50 }, { id, name: id, ...more });
const scene = (...ids) =>
  insert(
    newDoc({ width: 400, height: 300 }),
    ids.map((id) => picture(id)),
  );
const ids = ({ layers }) => layers.map((node) => (node.kind === "group" ? [node.id, ids(node)] : node.id));
const rounded = (points) => points.map(({ x, y }) => [Math.round(x * 100) / 100 + 0, Math.round(y * 100) / 100 + 0]);

test("what does not change is the same object, and nothing changes in place", () => {
  const before = scene("a", "b");
  const after = update(before, ["b"], (node) => ({ ...node, opacity: 0.5 }));
  assert.equal(after.layers[0], before.layers[0]);
  assert.equal(before.layers[1].opacity, 1);
  assert.equal(
    update(before, ["c"], () => assert.fail()),
    before,
  );
  assert.equal(remove(before, ["c"]), before);
});

test("layers are arranged among their neighbours", () => {
  const before = scene("a", "b", "c", "d");
  assert.deepEqual(ids(arrange(before, ["a", "b"], "up")), ["c", "a", "b", "d"]);
  assert.deepEqual(ids(arrange(before, ["d", "c"], "down")), ["a", "c", "d", "b"]);
  assert.deepEqual(ids(arrange(before, ["a", "c"], "front")), ["b", "d", "a", "c"]);
  assert.deepEqual(ids(arrange(before, ["d"], "back")), ["d", "a", "b", "c"]);
  assert.deepEqual(ids(arrange(before, ["d"], "up")), ["a", "b", "c", "d"]);
});

test("layers in a group look as they did, and as the group when it is turned", () => {
  const before = transform(scene("a", "b", "c"), ["b"], translation(40, 30));
  const grouped = group(before, ["a", "b"], "g");
  assert.deepEqual(ids(grouped), [["g", ["a", "b"]], "c"]);
  assert.deepEqual(rounded(outline(grouped, "b")), rounded(outline(before, "b")));

  const turned = transform(grouped, ["g"], about({ x: 50, y: 25 }, rotation(90)));
  const expected = transform(before, ["a", "b"], about({ x: 50, y: 25 }, rotation(90)));
  for (const id of ["a", "b"]) assert.deepEqual(rounded(outline(turned, id)), rounded(outline(expected, id)));
  const free = ungroup(turned, ["g"]);
  assert.deepEqual(ids(free), ["a", "b", "c"]);
  for (const id of ["a", "b"]) assert.deepEqual(rounded(outline(free, id)), rounded(outline(expected, id)));
});

test("a layer in a group that is flipped and scaled moves as the pointer does", () => {
  const grouped = transform(group(scene("a"), ["a"], "g"), ["g"], about({ x: 200, y: 150 }, scaling(-0.5, 0.5)));
  const [before] = rounded(outline(grouped, "a"));
  const [after] = rounded(outline(transform(grouped, ["a"], translation(7, -3)), "a"));
  assert.deepEqual([after[0] - before[0], after[1] - before[1]], [7, -3]);
});

test("layers move into groups, between layers, and never into themselves", () => {
  const grouped = group(scene("a", "b", "c"), ["b"], "g");
  assert.deepEqual(ids(move(grouped, ["a"], { parent: "g", index: 1 })), [["g", ["b", "a"]], "c"]);
  assert.deepEqual(ids(move(grouped, ["b"], { parent: undefined, index: 0 })), ["b", "a", ["g", []], "c"]);
  assert.equal(move(grouped, ["g"], { parent: "g", index: 0 }), grouped);
  assert.deepEqual(ids(move(grouped, ["a"], { parent: undefined, index: 3 })), [["g", ["b"]], "c", "a"]);
});

test("a group that is selected with its layers counts once", () => {
  const grouped = group(scene("a", "b"), ["a", "b"], "g");
  assert.deepEqual(outermost(grouped, ["b", "g"]), ["g"]);
  assert.deepEqual(boundsOfLayers(grouped, ["g"]), { x: 0, y: 0, width: 100, height: 50 });
});

test("copies have ids of their own and lie above", () => {
  const { doc, ids: made } = duplicate(group(scene("a"), ["a"], "g"), ["g"]);
  assert.equal(doc.layers[1].id, made[0]);
  assert.notEqual(doc.layers[1].layers[0].id, "a");
  assert.deepEqual([...picturesOf(doc)], ["a.png"]);
});

test("pictures to choose from take each other's place, at the same extent", () => {
  const before = picture("a", { x: 10, y: 10 });
  const offered = offer(before, [{ picture: "other.png", width: 200, height: 100 }]);
  assert.deepEqual(
    offered.variants.map((variant) => variant.picture),
    ["a.png", "other.png"],
  );
  assert.equal(offer(offered, offered.variants), offered);
  const chosen = choose(offered, offered.variants[1]);
  const doc = insert(newDoc(), [chosen]);
  assert.deepEqual(rounded(outline(doc, "a")), [
    [10, 10],
    [110, 10],
    [110, 60],
    [10, 60],
  ]);
  assert.deepEqual([...picturesOf(doc)].sort(), ["a.png", "other.png"]);
  const back = choose(chosen, offered.variants[0]);
  assert.deepEqual([back.x, back.y, back.scale], [10, 10, 1]);
});

test("what is dragged gets its place, and what has come meanwhile stays", () => {
  const start = scene("a", "b");
  const moved = transform(start, ["a"], translation(7, 0));
  const now = insert(
    update(start, ["a"], (node) => ({ ...node, opacity: 0.5 })),
    [picture("c")],
  );
  const both = placeAs(now, ["a"], moved);
  assert.deepEqual(ids(both), ["a", "b", "c"]);
  assert.deepEqual([find(both, "a").node.x, find(both, "a").node.opacity], [7, 0.5]);
});

test("CSS cannot show operators and linear light", () => {
  const plain = scene("a");
  assert.ok(isCss(plain));
  assert.ok(!isCss({ ...plain, space: "linear" }));
  const grouped = group(
    update(plain, ["a"], (node) => ({ ...node, operator: "xor" })),
    ["a"],
    "g",
  );
  assert.ok(!isCss(grouped));
  assert.ok(isCss(update(grouped, ["a"], (node) => ({ ...node, visible: false }))));
  assert.ok(find(grouped, "a").parents.length === 1);
});

const sides = { left: 10, top: 0, right: 30, bottom: 20 };
const old = { x: 10, y: 0, width: 100, height: 50 };

test("a layer that grows has what there was where it was, turned, flipped and in a group too", () => {
  for (const place of [{}, { x: 7, y: 3 }, { scale: 0.5, rotate: 30 }, { flip: true, rotate: 110, scale: 1.5 }]) {
    const grouped = transform(group(insert(newDoc({ width: 400, height: 300 }), [picture("a", place)]), ["a"], "g"), ["g"], rotation(15));
    const then = update(grouped, ["a"], (node) => grow(node, sides, { picture: "more.png", recipe: { extend: sides } }));
    const { node } = find(then, "a");
    assert.deepEqual([node.width, node.height, node.picture], [140, 70, "more.png"]);
    const at = (doc, { x, y }) => rounded([apply(worldMatrix(doc, find(doc, "a")), { x, y })]);
    for (const [x, y] of [[0, 0], [100, 0], [100, 50]]) {
      assert.deepEqual(at(then, { x: x + old.x, y: y + old.y }), at(grouped, { x, y }));
    }
    // And before is where it was.
    const from = { picture: "a.png", width: 100, height: 50 };
    const back = update(then, ["a"], (node) => before({ ...node, from }));
    assert.equal(find(back, "a").node.picture, "a.png");
    assert.deepEqual(rounded(outline(back, "a")), rounded(outline(grouped, "a")));
  }
});

test("what a layer was before is at its extent if it was enlarged or changed, and itself if nothing is known", () => {
  const from = { picture: "small.png", width: 50, height: 25 };
  const doc = insert(newDoc(), [picture("a", { x: 5, y: 5, from })]);
  const back = update(doc, ["a"], before);
  assert.equal(find(back, "a").node.picture, "small.png");
  assert.deepEqual(rounded(outline(back, "a")), rounded(outline(doc, "a")));
  const plain = picture("a");
  assert.equal(before(plain), plain);
});

test("a mask goes with pictures of its size, and what was made from what is among the pictures", () => {
  const from = { picture: "before.png", width: 100, height: 50, mask: "then.png" };
  const node = picture("a", { mask: "mask.png", from });
  assert.deepEqual([...picturesOf(insert(newDoc(), [node]))].sort(), ["a.png", "before.png", "mask.png", "then.png"]);
  assert.equal(choose(node, { picture: "b.png", width: 100, height: 50 }).mask, "mask.png");
  assert.equal(choose(node, { picture: "b.png", width: 200, height: 100 }).mask, undefined);
  assert.equal(grow(node, sides, { picture: "b.png" }).mask, undefined);
  const offered = offer(node, [{ picture: "b.png", width: 100, height: 50 }]);
  assert.equal(choose(choose(offered, offered.variants[1]), offered.variants[0]).from, from);
});

test("the scene grows on its sides, and all in it looks as it did", () => {
  const start = transform(group(scene("a", "b"), ["a"], "g"), ["g"], about({ x: 90, y: 40 }, rotation(25)));
  const nested = group(start, ["g"], "outer");
  for (const doc of [start, nested]) {
    const larger = resize(doc, sides);
    assert.deepEqual([larger.width, larger.height], [440, 320]);
    for (const id of ["a", "b"]) {
      assert.deepEqual(rounded(outline(larger, id)), rounded(outline(doc, id).map(({ x, y }) => ({ x: x + 10, y }))));
    }
  }
});

test("a layer fills the scene only upright, with its own corners", () => {
  const doc = (place, size = { width: 200, height: 100 }) => insert(newDoc(size), [picture("a", place)]);
  const filling = { x: 50, y: 25, scale: 2 };
  assert.ok(fillsScene(doc(filling), "a"));
  assert.ok(!fillsScene(doc({ ...filling, flip: true }), "a"));
  assert.ok(!fillsScene(doc({ ...filling, rotate: 180 }), "a"));
  assert.ok(!fillsScene(doc({ ...filling, x: 51 }), "a"));
  assert.ok(!fillsScene(doc(filling, { width: 201, height: 100 }), "a"));
});
