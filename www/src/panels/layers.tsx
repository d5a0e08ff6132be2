// The list of layers, the topmost first. Rows are dragged to another place, also into and out of groups.

import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import Sortable, { type SortableEvent } from "sortablejs";
import { find, type GroupNode, move, type Node, update } from "../state/document.ts";
import { urlOf } from "../state/pictures.ts";
import { doc, edit, select, selection, titleOf } from "../state/studio.ts";
import { CommandButton } from "./button.tsx";
import { openMenu } from "./context-menu.tsx";
import { Icon } from "./icons.tsx";
import { renaming } from "./renaming.ts";

const folded = signal<ReadonlySet<string>>(new Set());

export function Layers() {
  const { layers } = doc.value;
  return (
    <section class="panel layers-panel" aria-labelledby="layers-title">
      <header>
        <h2 id="layers-title">Layers</h2>
        <div class="tools">
          <CommandButton command="group" icon="group" />
          <CommandButton command="ungroup" icon="ungroup" />
          <CommandButton command="duplicate" icon="copy" />
          <CommandButton command="remove" icon="trash" />
        </div>
      </header>
      {layers.length === 0 ? (
        <p class="hint">What you make or bring will be listed here.</p>
      ) : (
        <List id="layers" layers={layers} />
      )}
    </section>
  );
}

function List({ id, layers, parent }: { id?: string; layers: readonly Node[]; parent?: GroupNode }) {
  const list = useRef<HTMLOListElement>(null);
  useEffect(() => {
    if (!list.current) return;
    const sortable = Sortable.create(list.current, {
      group: "layers",
      animation: matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 140,
      delay: 180,
      delayOnTouchOnly: true,
      filter: "input",
      preventOnFilter: false,
      // The browsers' own dragging differs from one to the other.
      forceFallback: true,
      fallbackOnBody: true,
      swapThreshold: 0.6,
      ghostClass: "ghost-row",
      onEnd: drop,
    });
    return () => sortable.destroy();
  }, []);
  return (
    <ol
      id={id}
      class="layers"
      ref={list}
      data-parent={parent?.id}
      aria-label={parent ? `In ${titleOf(parent)}` : "Layers, the topmost first"}
    >
      {layers.toReversed().map((node) => (
        <Row key={node.id} node={node} />
      ))}
    </ol>
  );
}

/** Takes back what was done to the list, which is made from the scene, and does it to the scene. */
function drop({ item, from, to, oldIndex = 0, newIndex = 0 }: SortableEvent): void {
  item.remove();
  from.insertBefore(item, from.children[oldIndex] ?? null);
  const id = item.dataset["id"];
  if (id === undefined || (from === to && oldIndex === newIndex)) return;
  const parent = to.dataset["parent"];
  const target = parent === undefined ? undefined : find(doc.value, parent)?.node;
  const siblings = target?.kind === "group" ? target.layers : doc.value.layers;
  const moved = selection.value.includes(id) ? selection.value : [id];
  const others = siblings.filter((node) => node.id !== id);
  // Rows count from the top, layers from the bottom.
  const above = others[others.length - newIndex];
  const index = above ? siblings.indexOf(above) : siblings.length;
  edit((now) => move(now, moved, { parent, index }));
}

function Row({ node }: { node: Node }) {
  const { id, visible, locked } = node;
  const isSelected = selection.value.includes(id);
  const title = titleOf(node);
  const isFolded = folded.value.has(id);
  return (
    <li data-id={id} class={visible ? "" : "is-hidden"}>
      <div class={`row ${isSelected ? "selected" : ""}`} onContextMenu={(event) => openMenu(event, id)}>
        {node.kind === "group" ? (
          <button
            type="button"
            class="ghost fold"
            aria-expanded={!isFolded}
            aria-label={`Layers of ${title}`}
            onClick={() => fold(id)}
          >
            <Icon name="chevron" />
          </button>
        ) : (
          <span class="thumb checker">
            <img src={urlOf(node.picture)} alt="" draggable={false} />
          </span>
        )}
        {renaming.value === id ? (
          <Rename node={node} />
        ) : (
          <button
            type="button"
            class="name"
            aria-pressed={isSelected}
            onClick={(event) => choose(id, event)}
            onDblClick={() => (renaming.value = id)}
          >
            <strong>{title}</strong>
            {describe(node) && <small>{describe(node)}</small>}
          </button>
        )}
        <button
          type="button"
          class="ghost quiet"
          name="locked"
          aria-pressed={locked}
          aria-label={`Lock ${title}`}
          title={locked ? "Unlock" : "Lock"}
          onClick={() => edit((now) => update(now, [id], (each) => ({ ...each, locked: !locked })))}
        >
          <Icon name={locked ? "lock" : "unlock"} />
        </button>
        <button
          type="button"
          class="ghost"
          name="visible"
          aria-pressed={visible}
          aria-label={`Show ${title}`}
          title={visible ? "Hide" : "Show"}
          onClick={() => edit((now) => update(now, [id], (each) => ({ ...each, visible: !visible })))}
        >
          <Icon name={visible ? "eye" : "hidden"} />
        </button>
      </div>
      {node.kind === "group" && !isFolded && <List layers={node.layers} parent={node} />}
    </li>
  );
}

function describe(node: Node): string {
  const parts = [
    ...(node.opacity < 1 ? [`${Math.round(node.opacity * 100)} %`] : []),
    ...(node.blend === "normal" ? [] : [node.blend]),
    ...(node.operator === "source-over" ? [] : [node.operator]),
  ];
  return parts.join(", ");
}

function fold(id: string): void {
  const next = new Set(folded.value);
  if (!next.delete(id)) next.add(id);
  folded.value = next;
}

/** One layer, or one more, or all from the last to this one. */
function choose(id: string, { shiftKey, ctrlKey, metaKey }: MouseEvent): void {
  if (ctrlKey || metaKey) {
    return select(
      selection.value.includes(id) ? selection.value.filter((each) => each !== id) : [...selection.value, id],
    );
  }
  const siblings = (find(doc.value, id)?.parents.at(-1)?.layers ?? doc.value.layers).map((node) => node.id);
  const last = selection.value.findLast((each) => siblings.includes(each));
  if (!shiftKey || last === undefined) return select([id]);
  const [start, end] = [siblings.indexOf(last), siblings.indexOf(id)].sort((a, b) => a - b) as [number, number];
  select([...selection.value, ...siblings.slice(start, end + 1)]);
}

function Rename({ node }: { node: Node }) {
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    input.current?.focus();
    input.current?.select();
  }, []);
  const end = (name: string): void => {
    if (renaming.value !== node.id) return;
    renaming.value = undefined;
    if (name && name !== node.name) edit((now) => update(now, [node.id], (each) => ({ ...each, name })));
  };
  return (
    <input
      ref={input}
      class="rename"
      aria-label={`Name of ${titleOf(node)}`}
      defaultValue={titleOf(node)}
      maxLength={200}
      onBlur={({ currentTarget }) => end(currentTarget.value.trim())}
      onKeyDown={({ key, currentTarget }) => {
        if (key === "Enter") end(currentTarget.value.trim());
        if (key === "Escape") end("");
      }}
    />
  );
}
