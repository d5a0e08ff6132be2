// Tabs that end as when their process is killed: nothing in them runs any more.

/** Kills a page's process, workers and all. */
export async function kill(page) {
  const client = await page.createCDPSession();
  const gone = new Promise((resolve) => page.once("error", resolve));
  client.send("Page.crash").catch(() => {});
  await gone;
}
