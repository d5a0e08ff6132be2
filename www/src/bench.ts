// The page that says how fast a device is: it makes pictures with the built-in model and takes the time
// between the events that the package reports.

import { checkSupport, createEngine, type Engine, GlassineError, type Progress } from "glassine";
import { keepForOffline } from "./offline.ts";
import { showError } from "./show-error.ts";

const form = find("benchForm", HTMLFormElement);
const startButton = find("startBench", HTMLButtonElement);
const stopButton = find("stopBench", HTMLButtonElement);
const progressBar = find("benchProgress", HTMLProgressElement);
const statusText = find("benchStatus", HTMLElement);
const errorBox = find("benchError", HTMLElement);
const adapterText = find("adapter", HTMLElement);
const tableRows = find("benchRows", HTMLTableSectionElement);
const json = find("benchJson", HTMLTextAreaElement);
const copyButton = find("copyBench", HTMLButtonElement);

const parameters = new URLSearchParams(location.search);
const ROUNDS = Number(parameters.get("rounds") ?? 4);
const REQUEST = {
  prompt: "a red apple",
  seed: 7,
  width: 64,
  height: 64,
  steps: Number(parameters.get("steps") ?? 20),
  decodePasses: 8,
} as const;

/** What is timed, in the order of the table. */
const names = {
  unet: "One step of denoising",
  "vae-decode": "Decoding the picture",
  "transparency-1": "Decoding transparency, one pass",
  "transparency-8": "Decoding transparency, eight passes",
  image: `A picture of ${REQUEST.steps} steps`,
};
type Row = keyof typeof names;
/** Milliseconds, in the order in which they were taken. */
type Times = Record<Row, number[]>;

let controller: AbortController | undefined;

/** The times at which things have happened during a request. */
class Watch {
  readonly begin = performance.now();
  readonly steps: number[] = [];
  readonly decoding: number[] = [];

  readonly see = (progress: Progress): void => {
    if (progress.phase === "denoising") this.steps.push(performance.now());
    if (progress.phase === "decoding") this.decoding.push(performance.now());
  };

  /** Between the picture and the end of its transparency. */
  get transparency(): number {
    return performance.now() - this.decoding[1]!;
  }
}

async function measure(engine: Engine, signal: AbortSignal): Promise<Times> {
  const times: Times = { unet: [], "vae-decode": [], "transparency-1": [], "transparency-8": [], image: [] };
  for (let round = 0; round < ROUNDS; round++) {
    setStatus(round === 0 ? "The first picture, which takes longer" : `Picture ${round + 1} of ${ROUNDS}`, round / ROUNDS);
    const picture = new Watch();
    const { latent } = await engine.generate({ ...REQUEST, signal, onProgress: picture.see });
    times["transparency-8"].push(picture.transparency);
    times.image.push(performance.now() - picture.begin);
    times.unet.push(...picture.steps.slice(1).map((time, index) => time - picture.steps[index]!));
    times["vae-decode"].push(picture.decoding[1]! - picture.decoding[0]!);
    const once = new Watch();
    await engine.decode(latent, { passes: 1, signal, onProgress: once.see });
    times["transparency-1"].push(once.transparency);
    show(times);
  }
  return times;
}

interface Summary {
  /** The first time, where everything was prepared in it. */
  cold: number | undefined;
  /** Of the others, if there are any. */
  median: number | undefined;
  spread: number | undefined;
  runs: number;
}

function summary(row: Row, values: readonly number[]): Summary {
  // One pass is only ever done after eight.
  const [cold, others] = row === "transparency-1" ? [undefined, values] : [values[0], values.slice(1)];
  const sorted = [...others].sort((a, b) => a - b);
  const median = sorted[sorted.length >> 1];
  const spread = median && (sorted.at(-1)! - sorted[0]!) / median;
  return { cold, median, spread, runs: others.length };
}

function show(times: Times): void {
  tableRows.replaceChildren(
    ...rowsOf(names).map(([row, name]) => {
      const { cold, median } = summary(row, times[row]);
      const line = document.createElement("tr");
      const head = document.createElement("th");
      head.scope = "row";
      head.textContent = name;
      line.append(head, cell(cold), cell(median));
      return line;
    }),
  );
}

function rowsOf<Value>(values: Record<Row, Value>): [Row, Value][] {
  return Object.entries(values) as [Row, Value][];
}

function cell(milliseconds: number | undefined): HTMLTableCellElement {
  const made = document.createElement("td");
  if (milliseconds === undefined) made.textContent = "";
  else if (milliseconds < 1000) made.textContent = `${milliseconds.toPrecision(3)} ms`;
  else made.textContent = `${(milliseconds / 1000).toPrecision(3)} s`;
  return made;
}

async function run(signal: AbortSignal): Promise<void> {
  const { shaderF16, limits, reasons } = await checkSupport();
  const device = String(new FormData(form).get("device")) as "auto" | "webgpu" | "cpu";
  setStatus("Loading the model", 0);
  const engine = await createEngine({ model: "mini", device, signal });
  try {
    keepForOffline();
    const onGpu = engine.info.device === "webgpu";
    const adapter = onGpu ? await describeAdapter() : undefined;
    adapterText.textContent = adapter
      ? `GPU: ${[adapter.vendor, adapter.architecture, adapter.description].filter(Boolean).join(", ") || "the browser does not say which"}`
      : `CPU, on one thread. ${reasons.join(" ")}`;
    const times = await measure(engine, signal);
    const rows = rowsOf(times).map(([row, values]) => {
      const { cold, median, spread, runs } = summary(row, values);
      return { row, ours_ms: median, ours_cold_ms: cold, spread, runs };
    });
    const { name, sha256 } = engine.info;
    json.value = JSON.stringify(
      {
        device: engine.info.device,
        date: new Date().toISOString(),
        adapter,
        ...(onGpu && { shaderF16, limits }),
        userAgent: navigator.userAgent,
        model: { name, sha256 },
        request: REQUEST,
        rows,
      },
      null,
      2,
    );
    copyButton.disabled = false;
    setStatus("Done", 1);
  } finally {
    await engine.dispose();
  }
}

async function describeAdapter(): Promise<Record<"vendor" | "architecture" | "description", string> | undefined> {
  const adapter = await navigator.gpu.requestAdapter();
  if (!adapter) return undefined;
  const { vendor, architecture, description } = adapter.info;
  return { vendor, architecture, description };
}

function setStatus(text: string, share: number): void {
  statusText.textContent = text;
  progressBar.value = share;
}

function find<E extends HTMLElement>(id: string, kind: new () => E): E {
  const element = document.getElementById(id);
  if (element instanceof kind) return element;
  throw new Error(`the page has no ${id}`);
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  controller = new AbortController();
  startButton.disabled = copyButton.disabled = errorBox.hidden = true;
  stopButton.disabled = false;
  tableRows.replaceChildren();
  json.value = "";
  try {
    await run(controller.signal);
  } catch (error) {
    setStatus(error instanceof GlassineError && error.code === "aborted" ? "Stopped" : "", 0);
    if (!controller.signal.aborted) showError(errorBox, error);
  } finally {
    startButton.disabled = false;
    stopButton.disabled = true;
  }
});
stopButton.addEventListener("click", () => controller?.abort());
copyButton.addEventListener("click", async () => {
  await navigator.clipboard.writeText(json.value);
  setStatus("Copied", 1);
});
