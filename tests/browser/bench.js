// Glassine beside ONNX Runtime Web in a real Chromium, row by row: see scripts/bench.

import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { rowsByName } from "./bench/rows.js";
import { launch } from "./lib/chromium.js";
import { packageFolder, serveFolders } from "./lib/site.js";

const gpus = { swiftshader: "software", lavapipe: "lavapipe", cpu: "none", gpu: "any" };
const folder = (path) => fileURLToPath(new URL(path, import.meta.url));
// Mesa would keep compiled shaders from one browser to the next.
process.env.MESA_SHADER_CACHE_DISABLE = "true";

/** Pixels of a side of the pictures that a model of full size is timed at. */
const FULL_SIDES = [128, 256];

/** Pixels of a side of the pictures that `mini` is timed at. */
function miniSide(row, device) {
  return device === "swiftshader" && row !== "unet" ? 32 : 64;
}

/** What is to be timed: rows of `mini`, and the UNet of a `pack` of full size if there is one. */
function workFor({ device, pack, rows }) {
  const mini = join(packageFolder, "models/mini");
  const work = [...rowsByName.keys()].map((row) => ({ row, name: row, side: miniSide(row, device), pack: mini }));
  if (pack) work.push(...FULL_SIDES.map((side) => ({ row: "unet", name: `full-unet-${side}`, side, pack })));
  if (!rows) return work;
  const wanted = rows.split(",");
  const unknown = wanted.filter((start) => !work.some(({ name }) => name.startsWith(start)));
  if (unknown.length) throw new Error(`no row begins with ${unknown.join(" or ")}: there are ${work.map(({ name }) => name).join(", ")}`);
  return work.filter(({ name }) => wanted.some((start) => name.startsWith(start)));
}

/** The pairs of types that a row is timed in: how the engine keeps the weights, and the peer's own type. */
async function typesFor({ row, pack }, { halves }, dtypes) {
  const peers = halves ? ["f32", "f16"] : ["f32"];
  const each = (dtype) => peers.map((peerDtype) => ({ dtype, peerDtype }));
  if (/^(unet|vae|transparency|image)/.test(row)) return each(await precisionOf(pack));
  if (!/^(matmul|conv)/.test(row)) return each("f32");
  const types = dtypes?.split(",") ?? peers;
  return types.map((dtype) => ({ dtype, peerDtype: dtype === "f32" ? "f32" : peers.at(-1) }));
}

/** How a pack keeps its weights, by and large. */
async function precisionOf(pack) {
  return JSON.parse(await readFile(join(pack, "manifest.json"), "utf8")).precision;
}

/** Runs a function of bench/page.js in a browser of its own, so that nothing is compiled yet. */
async function inBrowser(device, pack, name, options) {
  const site = await serveFolders({
    "/bench/": folder("./bench/"),
    "/module/": folder("./.bench/"),
    "/ort/": folder("./bench/node_modules/onnxruntime-web/dist/"),
    "/pack/": pack,
  });
  const { browser, close } = await launch(gpus[device]);
  try {
    const page = await browser.newPage();
    page.on("console", (message) => {
      if (["warn", "error"].includes(message.type())) console.error(`    ${message.text()}`);
    });
    await page.goto(site.url);
    const done = await page.evaluate(
      async (name, options) => {
        const functions = await import("/bench/page.js");
        return functions[name](options);
      },
      name,
      { device: device === "cpu" ? "cpu" : "webgpu", size: device, ...options },
    );
    return { ...done, chromium: await browser.version() };
  } finally {
    await close();
    await site.close();
  }
}

/** What is reported of a row that was timed. */
function summary({ name }, { dtype, peerDtype }, { peer }, measured) {
  const { shape, error, checked, cold, runs } = measured;
  const ratios = runs.map((run) => run.peer / run.ours).sort((a, b) => a - b);
  const [ours, theirs] = ["ours", "peer"].map((side) => median(runs.map((run) => run[side])));
  const ratio = theirs / ours;
  return {
    row: name,
    shape,
    dtype,
    peer: `${peer} ${peerDtype}`,
    ours_ms: rounded(ours),
    peer_ms: rounded(theirs),
    ratio: rounded(ratio),
    spread: rounded((ratios.at(-1) - ratios[0]) / ratio),
    runs: runs.length,
    ours_cold_ms: rounded(cold.ours),
    peer_cold_ms: rounded(cold.peer),
    cold_ratio: rounded(cold.peer / cold.ours),
    checked,
    error: rounded(error),
  };
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

const rounded = (value) => Number(value.toPrecision(4));

async function bench({ device, rows, dtypes, pack, seconds }) {
  const work = workFor({ device, rows, pack });
  const about = await inBrowser(device, work[0].pack, "describe", {});
  const results = [];
  for (const row of work) {
    for (const types of await typesFor(row, about, dtypes)) {
      const options = { row: row.row, side: row.side, fused: about.fused, seconds, ...types };
      const failed = (error) => ({ row: row.name, ...types, checked: false, failure: error.message });
      const result = await inBrowser(device, row.pack, "measure", options).then(
        (measured) => summary(row, types, about, measured),
        failed,
      );
      console.error(line(result));
      results.push(result);
    }
  }
  const { adapter, chromium, fused } = about;
  const attention = fused ? "MultiHeadAttention" : "MatMul and Softmax, since MultiHeadAttention is wrong here";
  return { device, date: new Date().toISOString(), adapter, chromium, peer_attention: attention, rows: results };
}

function line({ row, dtype, peer, failure, ours_ms, peer_ms, ratio, spread, cold_ratio, checked }) {
  if (failure) return `${row} ${dtype}: ${failure}`;
  const agreement = checked ? "" : ", outputs differ";
  return `${row} ${dtype}: ${ours_ms} ms, ${peer} ${peer_ms} ms, ratio ${ratio} (spread ${spread}), cold ${cold_ratio}${agreement}`;
}

try {
  const { values } = parseArgs({
    options: {
      device: { type: "string", default: "swiftshader" },
      rows: { type: "string" },
      dtypes: { type: "string" },
      pack: { type: "string" },
      seconds: { type: "string", default: "5" },
      json: { type: "string" },
    },
  });
  if (!(values.device in gpus)) throw new Error(`unknown device ${values.device}: use ${Object.keys(gpus).join(", ")}`);
  const report = await bench({ ...values, seconds: Number(values.seconds) });
  const json = `${JSON.stringify(report, null, 2)}\n`;
  if (values.json) await writeFile(values.json, json);
  else console.log(json);
  if (!report.rows.every(({ checked }) => checked)) throw new Error("the outputs of some rows do not agree, or were not there");
} catch (error) {
  console.error(`error: ${error.message}`);
  process.exitCode = 1;
}
