// The package where pages keep it: on another origin, in a classic script, behind strict policies, in pages of no origin.

import assert from "node:assert/strict";
import { test } from "node:test";
import { sharedBrowser } from "../lib/shared-browser.js";
import { packageFolder, serveFolders } from "../lib/site.js";

const cors = { "access-control-allow-origin": "*" };

/** Opens an empty page that is sent with these headers, beside the package under /glassine/. */
async function openPage(t, headers) {
  const site = await serve(t, headers);
  const page = await (await sharedBrowser("none")).newPage();
  t.after(() => page.close());
  await page.goto(site.url);
  return { page, site: site.url };
}

async function serve(t, headers) {
  const site = await serveFolders({ "/glassine/": packageFolder }, headers);
  t.after(() => site.close());
  return site;
}

/** Makes a picture and its PNG with the package at a URL, and asks the worker that stores models; gives what it failed with. */
const use = (page, url, assets) =>
  page.evaluate(
    async (url, assets) => {
      try {
        const glassine = await import(`${url}dist/index.js`);
        const { models } = await import(`${url}dist/models.js`);
        if (assets) glassine.configure({ assets });
        const engine = await glassine.createEngine({ model: "mini", device: "cpu" });
        const { layers } = await engine.generate({ prompt: "a red apple", steps: 1, decodePasses: 1 });
        const png = await layers[0].toBlob();
        await engine.dispose();
        return [png.type, (await models.estimate("mini")).totalBytes > 1e7];
      } catch ({ code, message, hint }) {
        return { code, message, hint };
      }
    },
    url,
    assets,
  );

const works = ["image/png", true];

test("the package on another origin, which allows it to be read", async (t) => {
  const { page } = await openPage(t);
  assert.deepEqual(await use(page, `${(await serve(t, cors)).url}glassine/`), works);
});

test("modules on the page's origin, and the rest where configure says", async (t) => {
  const { page, site } = await openPage(t);
  const elsewhere = `${(await serve(t, cors)).url}glassine`;
  assert.deepEqual(await use(page, `${site}glassine/`, elsewhere), works);
  const scripts = await page.evaluate(() => performance.getEntriesByType("resource").map(({ name }) => name));
  const workers = scripts.filter((name) => name.includes("/internal/worker/"));
  assert.deepEqual(workers.filter((name) => name.startsWith(site)), []);
  assert.equal(workers.length, 3);

  const { code, message, hint } = await use(page, `${site}glassine/`, "/nowhere/");
  assert.equal(code, "worker_failed");
  assert.match(message, /nowhere\/dist\/internal\/worker\/engine\.js/);
  assert.match(hint, /configure/);
});

test("a function that says where each file is", async (t) => {
  const { page, site } = await openPage(t);
  const asked = await page.evaluate(async () => {
    const { configure, createEngine } = await import("/glassine/dist/index.js");
    const asked = [];
    configure({ assets: (path) => asked.push(path) && `/glassine/${path}` });
    await (await createEngine({ model: "mini", device: "cpu" })).dispose();
    const wrong = createEngine.bind(undefined, { model: "mini" });
    configure({ assets: () => "http://" });
    asked.push(await wrong().catch(({ code, message }) => `${code}: ${message}`));
    return asked;
  });
  assert.deepEqual(asked.slice(0, 3), ["dist/internal/worker/engine.js", "dist/wasm/glassine_bg.wasm", "models/mini/manifest.json"]);
  assert.match(asked.at(-1), /^bad_option: .*dist\/internal\/worker\/engine\.js/);
  assert.ok(site);
});

test("a classic script", async (t) => {
  const { page } = await openPage(t);
  await page.addScriptTag({ url: `${(await serve(t, cors)).url}glassine/dist/glassine.global.js` });
  const made = await page.evaluate(async () => {
    const engine = await glassine.createEngine({ model: "mini", device: "cpu" });
    const { layers } = await engine.generate({ prompt: "a red apple", steps: 1, decodePasses: 1 });
    return [(await layers[0].toBlob()).type, (await glassine.models.estimate("mini")).totalBytes > 1e7];
  });
  assert.deepEqual(made, works);
});

test("a page with Trusted Types, a strict policy and isolation allows the package's policy by its name", async (t) => {
  const csp = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self'; img-src data:; require-trusted-types-for 'script'; trusted-types glassine";
  const isolation = { "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" };
  const { page, site } = await openPage(t, { "content-security-policy": csp, ...isolation });
  assert.equal(await page.evaluate(() => crossOriginIsolated), true);
  assert.deepEqual(await use(page, `${site}glassine/`), works);

  const forbidden = await openPage(t, { "content-security-policy": "require-trusted-types-for 'script'; trusted-types other" });
  const { code, message } = await use(forbidden.page, `${forbidden.site}glassine/`);
  assert.equal(code, "worker_failed");
  assert.match(message, /TrustedScriptURL/);
});

test("a policy that forbids WebAssembly is named", async (t) => {
  const { page, site } = await openPage(t, { "content-security-policy": "script-src 'self'; worker-src 'self'" });
  const { code, message, hint } = await use(page, `${site}glassine/`);
  assert.equal(code, "worker_failed", message);
  assert.match(hint, /wasm-unsafe-eval/);
  const flat = await page.evaluate(async () => {
    const { Scene } = await import("/glassine/dist/index.js");
    return new Scene(8, 8).flatten().catch(({ code, hint }) => [code, hint]);
  });
  assert.equal(flat[0], "worker_failed");
  assert.match(flat[1], /wasm-unsafe-eval/);
});

test("a frame in a sandbox, which has no origin, from a server that allows it to be read", async (t) => {
  const { page } = await openPage(t);
  const url = `${(await serve(t, cors)).url}glassine/`;
  await page.setContent(`<iframe sandbox="allow-scripts" srcdoc="<p>sandboxed</p>"></iframe>`);
  const frame = await page.waitForFrame((frame) => frame.parentFrame() !== null);
  assert.equal(await frame.evaluate(() => origin), "null");
  const made = await frame.evaluate(async (url) => {
    const { createEngine } = await import(`${url}dist/index.js`);
    const engine = await createEngine({ model: "mini", device: "cpu" });
    const { layers } = await engine.generate({ prompt: "a red apple", steps: 1, decodePasses: 1 });
    return (await layers[0].toBlob()).type;
  }, url);
  assert.equal(made, "image/png");
});

test("in a page that is a blob, relative URLs are those of its origin", async (t) => {
  const { page, site } = await openPage(t);
  const url = await page.evaluate(() => URL.createObjectURL(new Blob(["<!doctype html><title>blob</title>"], { type: "text/html" })));
  await page.goto(url);
  const names = await page.evaluate(async (site) => {
    const { createEngine } = await import(`${site}glassine/dist/index.js`);
    const names = [];
    for (const model of ["glassine/models/mini/", "/glassine/models/mini"]) {
      const engine = await createEngine({ model, device: "cpu" });
      names.push(engine.info.name);
      await engine.dispose();
    }
    return names;
  }, site);
  assert.equal(names.length, 2);
});

test("a worker's own error is told with its text", async (t) => {
  const { page } = await openPage(t);
  const { code, message } = await page.evaluate(async () => {
    const { configure, createEngine } = await import("/glassine/dist/index.js");
    const broken = URL.createObjectURL(new Blob(["throw new TypeError('this worker is broken')"], { type: "text/javascript" }));
    configure({ assets: (path) => (path.endsWith("engine.js") ? broken : `/glassine/${path}`) });
    return createEngine({ model: "mini" }).catch(({ code, message }) => ({ code, message }));
  });
  assert.equal(code, "worker_failed");
  assert.match(message, /this worker is broken/);
});
