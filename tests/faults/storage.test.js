// There is no room on the disk: at each thing that is written, in each kind of import.

import assert from "node:assert/strict";
import { test } from "node:test";
import { open } from "../browser/lib/open.js";
import { checkpointFolder, giveFiles } from "./lib/files.js";
import { randomOf, some } from "./lib/random.js";
import { SmallPack } from "./lib/small-pack.js";
import { assertSound, assertTidy, importPack, removeAll } from "./lib/left.js";

const sound = "disk-faults?at=0";

/** Does `work` on a sound disk; gives the numbers of what it asked the disk to make room for. */
async function writesOf(page, work) {
  await page.evaluate(() => {
    window.writes = 0;
    window.disk ??= new BroadcastChannel("disk");
    disk.onmessage = ({ data }) => (window.writes = data);
  });
  assert.equal(await work(), "none");
  const count = await page.evaluate(() => writes);
  return Array.from({ length: count }, (_, index) => index + 1);
}

for (const [what, how, few] of [["for one thing", "", 100], ["from one on", "&rest", 5]]) {
  test(`an import finds no room ${what}: what is stored is sound, and the next import completes it`, async (t) => {
    const random = randomOf(t);
    const before = [sound];
    const page = await open(t, { pack: new SmallPack(), before });
    const writes = await writesOf(page, () => importPack(page));
    const chosen = some(writes, few, random);
    for (const at of chosen) {
      await removeAll(page);
      before[0] = `disk-faults?at=${at}${how}`;
      assert.equal(await importPack(page), "quota_exceeded", `at ${at}`);
      await assertSound(page);

      before[0] = sound;
      assert.equal(await importPack(page), "none");
      await assertTidy(page);
    }
    t.diagnostic(`${chosen.length} of ${writes.length} writes failed`);
  });

  test(`a new version finds no room ${what}: the one before stays whole, or the new one is`, async (t) => {
    const random = randomOf(t);
    const pack = new SmallPack();
    const before = [sound];
    const page = await open(t, { pack, before });
    await importPack(page);
    let version = 1;
    pack.publish(++version);
    const writes = await writesOf(page, () => importPack(page));
    const chosen = some(writes, few, random);
    for (const at of chosen) {
      pack.publish(++version);
      before[0] = `disk-faults?at=${at}${how}`;
      assert.equal(await importPack(page), "quota_exceeded", `at ${at}`);
      const [model] = await assertSound(page);
      assert.equal(model.complete, true, `at ${at}`);

      before[0] = sound;
      assert.equal(await importPack(page), "none");
      await assertTidy(page);
    }
    t.diagnostic(`${chosen.length} of ${writes.length} writes failed`);
  });
}

test("a disk that takes half of what it is given at a time gets all of it", async (t) => {
  const page = await open(t, { pack: new SmallPack(), before: [`${sound}&short`] });
  assert.equal(await importPack(page), "none");
  await assertTidy(page);
});

test("a checkpoint that is packed finds no room: nothing is left, and what was there stays", async (t) => {
  const random = randomOf(t);
  const { folder, paths } = checkpointFolder(t);
  const before = [sound];
  const page = await open(t, { pack: folder, before });
  await giveFiles(page, paths);
  const pack = (quantize) => page.evaluate(async (quantize) => (await failureOf(packing({ quantize }))).code, quantize);

  const fresh = await writesOf(page, () => pack("q4"));
  const onTop = await writesOf(page, () => pack("q8"));
  /** Asserts what is there once one of these writes has failed: the last ones are those of a record that is in force already. */
  const assertAsBefore = async (writes, at, before) => {
    if (at <= writes.length - 10) return assert.equal((await assertTidy(page)).length, before, `at ${at}: nothing of it is left`);
    const found = await assertSound(page);
    assert.ok(found.length >= before && found.every(({ complete }) => complete), `at ${at}`);
  };
  const chosenOnTop = some(onTop, 2, random);
  for (const at of chosenOnTop) {
    before[0] = `disk-faults?at=${at}`;
    assert.equal(await pack("q4"), "quota_exceeded", `at ${at}`);
    await assertAsBefore(onTop, at, 1);
    before[0] = sound;
    assert.equal(await pack("q8"), "none");
    await assertTidy(page);
  }
  const chosenFresh = some(fresh, 2, random);
  for (const at of chosenFresh) {
    await removeAll(page);
    before[0] = `disk-faults?at=${at}`;
    assert.equal(await pack("q4"), "quota_exceeded", `at ${at}`);
    await assertAsBefore(fresh, at, 0);
  }
  t.diagnostic(`of ${fresh.length} and ${onTop.length} writes ${chosenFresh.length} and ${chosenOnTop.length} failed`);
});
