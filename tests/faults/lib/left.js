// What is in the browser after a fault: its storage, and its workers.

import assert from "node:assert/strict";

/** Every file that the page's origin has stored: folders are objects, files their lengths. */
const tree = (page) =>
  page.evaluate(async () => {
    const walk = async (folder) => {
      const entries = {};
      for await (const [name, handle] of folder) {
        entries[name] = handle.kind === "file" ? (await handle.getFile()).size : await walk(handle);
      }
      return entries;
    };
    return walk(await navigator.storage.getDirectory());
  });

/** The stored models, as the page sees them. */
export const listed = (page) => page.evaluate(async () => (await models.list()).filter(({ builtIn }) => !builtIn));

/**
 * Asserts that whatever is stored belongs to a model that the page sees, that complete models are whole, and that
 * nobody holds a lock. Gives the models.
 */
export async function assertSound(page) {
  const found = await listed(page);
  const { glassine: { models: folders = {}, ...others } = {}, ...foreign } = await tree(page);
  assert.deepEqual({ ...foreign, ...others }, {}, "nothing lies beside the models");
  assert.deepEqual(Object.keys(folders).sort(), found.map(({ name }) => name).sort());
  for (const { name, complete } of found) {
    const result = await page.evaluate((name) => models.verify(name).catch(({ code }) => code), name);
    assert.deepEqual(result, complete ? { intact: true, missing: [], damaged: [] } : "model_not_found", name);
  }
  const locks = await page.evaluate(async () => {
    const { held, pending } = await navigator.locks.query();
    return [...held, ...pending].map(({ name }) => name);
  });
  assert.deepEqual(locks, []);
  return found;
}

/** As `assertSound`, and that no file is there but those of complete models. */
export async function assertTidy(page) {
  const found = await assertSound(page);
  assert.ok(found.every(({ complete }) => complete));
  const { glassine: { models: folders = {} } = {} } = await tree(page);
  for (const [name, files] of Object.entries(folders)) {
    const own = Object.keys(files).filter((file) => /^[0-9a-f]{64}$/.test(file));
    assert.deepEqual(own.sort(), await contents(page, name), `the files of ${name}`);
    const others = Object.entries(files).filter(([file]) => !own.includes(file));
    assert.ok(others.length > 0 && others.every(([file, bytes]) => /^model\.json/.test(file) && bytes < 1000), `${others}`);
  }
  return found;
}

/** The names by content of a complete model's manifest and shards, in their order. */
const contents = (page, name) =>
  page.evaluate(async (name) => {
    let folder = await navigator.storage.getDirectory();
    for (const part of ["glassine", "models", name]) folder = await folder.getDirectoryHandle(part);
    const json = async (file) => JSON.parse(await (await (await folder.getFileHandle(file)).getFile()).text());
    const { manifest } = await json("model.json");
    const { shards } = await json(manifest);
    return [...new Set([manifest, ...shards.map(({ sha256 }) => sha256)])].sort();
  }, name);

/** Removes every model, and asserts that nothing is stored any more. */
export async function removeAll(page) {
  await page.evaluate(async () => {
    for (const { name, builtIn } of await models.list()) if (!builtIn) await models.remove(name);
  });
  const { glassine: { models: folders = {} } = {} } = await tree(page);
  assert.deepEqual(folders, {});
}

/** Imports the pack at /pack/ as "apple"; gives the failure's code or "none". */
export const importPack = (page, options = {}) =>
  page.evaluate(
    async (options) => (await failureOf(models.import("/pack/", { name: "apple", ...options }))).code,
    options,
  );

/** Waits until a page has no more than so many workers. */
export async function noWorkers(page, count = 0) {
  while (page.workers().length > count) await new Promise((resolve) => page.once("workerdestroyed", resolve));
}
