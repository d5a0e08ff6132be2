// The worker that stores models and finds out about them. It runs one call and holds no engine.

import { setAssets, setMini } from "./assets.js";
import { estimateModel } from "./estimate-model.js";
import { importPack } from "./import-model.js";
import { packFiles } from "./pack-files.js";
import type { Calls, FromWorker, StorageCall, StorageTask, ToWorker } from "../shared/protocol.js";
import { abortError } from "../shared/abort-error.js";
import { miniManifest } from "./mini-manifest.js";
import { toRawError } from "./raw-error.js";
import { addToShelf, findMisfits } from "./shelf-files.js";
import { startModule } from "./start-module.js";
import { listenForTraps } from "./traps.js";
import { verifyModel } from "./verify-model.js";

setMini(miniManifest);

const controller = new AbortController();
const task: StorageTask = { signal: controller.signal, report: (event) => post({ type: "progress", event }) };

function post(message: FromWorker): void {
  self.postMessage(message);
}

/** A call may fail in many ways once it is aborted: all of them mean the same. */
async function run(call: StorageCall): Promise<void> {
  try {
    post({ type: "done", answer: await answer(call) });
  } catch (error) {
    fail(task.signal.aborted ? abortError(task.signal.reason) : error);
  }
}

async function answer(call: StorageCall): Promise<Calls[StorageCall["type"]]["answer"]> {
  switch (call.type) {
    case "import":
      return importPack(call, task);
    case "pack":
      await startModule();
      return packFiles(call, task);
    case "estimate":
      await startModule();
      return estimateModel(call, task);
    case "verify":
      return verifyModel(call, task);
    case "shelve":
      await startModule();
      return addToShelf(call, task);
    case "misfits":
      await startModule();
      return findMisfits(call, task);
  }
}

function fail(error: unknown): void {
  const raw = toRawError(error);
  post({ type: raw.code === "internal" ? "dead" : "failed", error: raw });
}

self.addEventListener("message", ({ data }: MessageEvent<ToWorker>) => {
  if (data.type === "start") setAssets(data.assets);
  else if (data.type === "abort") controller.abort();
  else void run(data as StorageCall);
});

listenForTraps(fail);
