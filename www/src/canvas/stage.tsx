// The canvas: the scene as the browser's own compositor shows it, and what is drawn over it.

import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { jobs } from "../making/queue.ts";
import { isCss, type Node } from "../state/document.ts";
import { draw } from "../state/pictures.ts";
import { camera, channels, crisp, doc, dragged, paper, shown, tool, viewport } from "../state/studio.ts";
import { openMenuOnCanvas } from "../panels/context-menu.tsx";
import { fail } from "../panels/notices.tsx";
import { Flat } from "./flat.tsx";
import { follow } from "./gestures.ts";
import { Overlay } from "./overlay.tsx";
import { Loupe } from "./loupe.tsx";
import { BrushCursor, DrawingOverlay, MaskOverlay } from "./mask.tsx";
import { Welcome } from "./welcome.tsx";

export function Stage() {
  const element = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const { current } = element;
    if (!current) return;
    const observer = new ResizeObserver(
      () => (viewport.value = { width: current.clientWidth, height: current.clientHeight }),
    );
    observer.observe(current);
    const unfollow = follow(current);
    return () => {
      observer.disconnect();
      unfollow();
    };
  }, []);
  return (
    <div
      id="stage"
      ref={element}
      class={`stage tool-${tool.value}`}
      tabIndex={0}
      role="group"
      aria-label="Canvas"
      aria-describedby="stage-keys"
      onContextMenu={openMenuOnCanvas}
    >
      <span id="stage-keys" class="unseen">
        Arrow keys move what is selected. Layers can be chosen in the list. Press ? for all shortcuts.
      </span>
      <World />
      <Previews />
      <MaskOverlay />
      <DrawingOverlay />
      <Overlay />
      <BrushCursor />
      <Loupe />
      <Welcome />
    </div>
  );
}

/** The scene, in its own pixels, which the camera places and enlarges. */
function World() {
  const { x, y, zoom } = camera.value;
  const { width, height, background, layers } = shown.value;
  const flat = channels.value !== "rgba" || !isCss(shown.value);
  return (
    <div
      class="world"
      style={{ width: `${width}px`, height: `${height}px`, transform: `translate(${x}px, ${y}px) scale(${zoom})` }}
    >
      <div
        class={`paper ${paper.value === "checker" ? "checker" : ""}`}
        style={{ backgroundColor: paper.value === "checker" ? "" : paper.value, "--check-size": `${20 / zoom}px` }}
      />
      <div class={`scene ${crisp.value ? "crisp" : ""}`} hidden={flat} style={{ backgroundColor: background }}>
        {layers.map((node) => (
          <Layer key={node.id} node={node} />
        ))}
      </div>
      {flat && <Flat />}
    </div>
  );
}

function Layer({ node }: { node: Node }) {
  const { id, x, y, scale, rotate, flip, opacity, blend, visible } = node;
  const size = node.kind === "group" ? doc.value : node;
  return (
    <div
      class={`layer ${node.kind}`}
      data-id={id}
      hidden={!visible}
      style={{
        width: `${size.width}px`,
        height: `${size.height}px`,
        transform: `translate(${x}px, ${y}px) rotate(${rotate}deg) scale(${flip ? -scale : scale}, ${scale})`,
        opacity,
        mixBlendMode: blend,
        willChange: dragged.value.includes(id) ? "transform" : "",
      }}
    >
      {node.kind === "group" ? (
        node.layers.map((inner) => <Layer key={inner.id} node={inner} />)
      ) : (
        <Pixels picture={node.picture} />
      )}
    </div>
  );
}

/** A picture's pixels. They do not change, so that the browser keeps them where it composites. */
function Pixels({ picture }: { picture: string }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useLayoutEffect(() => {
    const { current } = canvas;
    if (!current) return;
    delete current.dataset["drawn"];
    draw(picture, current)?.catch(fail);
  }, [picture]);
  return <canvas ref={canvas} aria-hidden="true" />;
}

/** What is being made, where it will stand. */
function Previews() {
  const { x: left, y: top, zoom } = camera.value;
  return (
    <>
      {jobs.value.map(({ id, wish, state, preview, status }) => {
        if (state !== "running") return null;
        const { x, y, width, height } = wish.box ?? { x: 0, y: 0, width: doc.value.width, height: doc.value.height };
        return (
          <div
            key={id}
            class="preview"
            style={{
              width: `${width * zoom}px`,
              height: `${height * zoom}px`,
              transform: `translate(${left + x * zoom}px, ${top + y * zoom}px)`,
            }}
          >
            {preview && <Preview image={preview} />}
            <div class="sweep" style={{ transform: `scaleX(${status.share})` }} />
          </div>
        );
      })}
    </>
  );
}

export function Preview({ image }: { image: ImageData }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const { current } = canvas;
    if (!current) return;
    current.width = image.width;
    current.height = image.height;
    current.getContext("2d")?.putImageData(image, 0, 0);
  }, [image]);
  return <canvas ref={canvas} role="img" aria-label="A preview of the picture" />;
}
