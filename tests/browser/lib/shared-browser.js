// The browsers that the tests of one file have in common: starting one takes longer than most tests.

import { after } from "node:test";
import { launch } from "./chromium.js";

const launched = new Map();

/** The file's browser with this GPU (see `launch`), which runs until its last test has ended. */
export async function sharedBrowser(gpu) {
  if (!launched.has(gpu)) launched.set(gpu, launch(gpu));
  return (await launched.get(gpu)).browser;
}

after(async () => {
  for (const chromium of launched.values()) await (await chromium).close();
});
