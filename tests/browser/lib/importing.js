// What the tests of imports by URL share.

import assert from "node:assert/strict";
import { mini } from "./pack.js";

/** The names of the shards of the pack; the first one is small. */
export const shards = mini.shards.map(({ file }) => file);
export const [small, first, second] = shards;
export const last = shards.at(-1);

/** Imports the pack into "apple" and gives what happened. */
export function importPack(page, options = {}) {
  return page.evaluate(async (options) => {
    const events = [];
    const failure = await failureOf(
      models.import("/pack/", { name: "apple", ...options, onProgress: (event) => events.push(event) }),
    );
    return { failure, events };
  }, options);
}

/** The stored models. */
export const listed = (page) => page.evaluate(async () => (await models.list()).filter(({ builtIn }) => !builtIn));

/** Fails unless what is counted of a phase goes on and never back; gives the counts. */
export function assertMonotone(events, phase, field) {
  const values = events.filter((event) => event.phase === phase).map((event) => event[field]);
  assert.ok(values.length > 0, `there is progress of ${phase}`);
  assert.deepEqual(values, [...new Set(values)].sort((a, b) => a - b), `${phase} goes on and never back`);
  return values;
}
