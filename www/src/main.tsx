// The page at work: it is there at once, loads a model meanwhile, and makes what the address asks for.

import { render } from "preact";
import { useEffect } from "preact/hooks";
import { ExtendBar } from "./canvas/extend.tsx";
import { DrawingBar, MaskBar } from "./canvas/mask.tsx";
import { CompareDialog } from "./compare/compare.tsx";
import { Stage } from "./canvas/stage.tsx";
import { followKeys } from "./commands.ts";
import { takeFiles } from "./files.ts";
import { openFirst, startKeeping } from "./keep/autosave.ts";
import { Bar } from "./making/bar.tsx";
import { loadModel } from "./making/model.ts";
import { firstResult, rejectFirst } from "./making/queue.ts";
import { followLinks, LinkDialog, openLink } from "./making/sharing.tsx";
import { takeWeights } from "./making/steering.tsx";
import { ReplaceDialog } from "./models/replace.tsx";
import { divide } from "./models/weights.ts";
import { keepForOffline } from "./offline.ts";
import { part } from "./page.ts";
import { ContextMenu } from "./panels/context-menu.tsx";
import { panelOpen } from "./panels/dialogs.ts";
import { Gallery } from "./panels/gallery.tsx";
import { Inspector } from "./panels/inspector.tsx";
import { Layers } from "./panels/layers.tsx";
import { fail, Notices } from "./panels/notices.tsx";
import { Shortcuts } from "./panels/shortcuts.tsx";
import { Tools } from "./panels/tools.tsx";
import { Top } from "./panels/top.tsx";
import { toScene } from "./state/studio.ts";
import "./studio.css";

/** What a script that opens the page with `?auto=1` gets. */
interface PageResult {
  png: string;
  width: number;
  height: number;
  device: string;
  timings: Readonly<Record<string, number>>;
}

declare global {
  interface Window {
    glassineResult: Promise<PageResult>;
  }
}

const isAutomatic = new URLSearchParams(location.search).get("auto") === "1";
const page = Promise.withResolvers<PageResult>();
page.promise.catch(() => {});
window.glassineResult = page.promise;

function Studio() {
  useEffect(() => void start(), []);
  return (
    <>
      <Tools />
      <div class="middle">
        <Stage />
        <Bar />
        <MaskBar />
        <DrawingBar />
        <ExtendBar />
        <Notices />
      </div>
      <aside class={`side ${panelOpen.value ? "open" : ""}`} aria-label="Layers and properties">
        <Layers />
        <Inspector />
      </aside>
      <ContextMenu />
      <Gallery />
      <Shortcuts />
      <ReplaceDialog />
      <LinkDialog />
      <CompareDialog />
    </>
  );
}

async function start(): Promise<void> {
  await openFirst(isAutomatic);
  startKeeping();
  followKeys();
  followDrops();
  if (!isAutomatic) await openLink();
  followLinks();
  try {
    const engine = await loadModel();
    keepForOffline();
    if (!isAutomatic) return;
    part(document, "#form", HTMLFormElement).requestSubmit();
    const { layer, timings } = await firstResult;
    const { width, height } = layer;
    page.resolve({ png: await toBase64(await layer.toBlob()), width, height, device: engine.info.device, timings });
  } catch (error) {
    rejectFirst(error);
    page.reject(error);
  }
}

async function toBase64(blob: Blob): Promise<string> {
  const bytes = new Uint8Array(await blob.arrayBuffer());
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}

/** Files that are dropped anywhere become layers, or LoRAs; the panel of models takes its own. */
function followDrops(): void {
  const takes = ({ dataTransfer, target }: DragEvent): boolean =>
    dataTransfer?.types.includes("Files") === true && target instanceof Element && !target.closest("#models, dialog");
  addEventListener("dragover", (event) => {
    if (!takes(event)) return;
    event.preventDefault();
    document.body.classList.add("dropping");
  });
  addEventListener("dragleave", ({ relatedTarget }) => relatedTarget ?? document.body.classList.remove("dropping"));
  addEventListener("drop", (event) => {
    document.body.classList.remove("dropping");
    if (!takes(event)) return;
    event.preventDefault();
    const stage = document.querySelector("#stage")!.getBoundingClientRect();
    const onStage = event.target instanceof Element && event.target.closest("#stage");
    const at = onStage ? toScene({ x: event.clientX - stage.left, y: event.clientY - stage.top }) : undefined;
    const { weights, others } = divide([...(event.dataTransfer?.files ?? [])]);
    takeWeights(weights).catch(fail);
    if (others.length > 0) void takeFiles(others, at);
  });
}

render(<Top />, part(document, "#top", HTMLElement));
render(<Studio />, part(document, "#studio", HTMLElement));
