// The browsers that the tests of one file have in common: starting one takes longer than most tests.

import { after } from "node:test";
import { launch } from "./chromium.js";
import { launchFirefox } from "./firefox.js";

const launched = new Map();

/** The file's Chromium with this GPU (see `launch`), which runs until its last test has ended. */
export const sharedBrowser = (gpu) => shared(gpu, () => launch(gpu));

/** The file's Firefox, with WebGPU. */
export const sharedFirefox = () => shared("firefox", launchFirefox);

async function shared(key, start) {
  if (!launched.has(key)) launched.set(key, start());
  return (await launched.get(key)).browser;
}

after(async () => {
  for (const browser of launched.values()) await (await browser).close();
});
