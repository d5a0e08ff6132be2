// The page that says how fast a device is.

import assert from "node:assert/strict";
import { test } from "node:test";
import { openDemo, textIs } from "../lib/demo.js";

test("the page takes the time of a few pictures, on the CPU, also without a server", async (t) => {
  const page = await openDemo(t, "bench.html?steps=2&rounds=2", undefined, { offline: true });
  const measure = async () => {
    await page.select("[name=device]", "cpu");
    await page.click("#startBench");
    await textIs(page, "#benchStatus", "Done");
    return JSON.parse(await page.$eval("#benchJson", ({ value }) => value));
  };
  const report = await measure();
  assert.equal(report.device, "cpu");
  assert.equal(report.model.name, "mini");
  assert.deepEqual(
    report.rows.map(({ row }) => row),
    ["unet", "vae-decode", "transparency-1", "transparency-8", "image"],
  );
  const times = Object.fromEntries(report.rows.map(({ row, ours_ms }) => [row, ours_ms]));
  for (const time of Object.values(times)) assert.ok(time > 0);
  assert.ok(times["transparency-8"] > times["transparency-1"]);
  assert.ok(times.image > times["transparency-8"] + times["vae-decode"]);
  assert.equal(await page.$$eval("#benchRows tr", (rows) => rows.length), 5);

  await page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
  await page.setOfflineMode(true);
  await page.reload();
  assert.equal((await measure()).device, "cpu");
});
