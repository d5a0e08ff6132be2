// The panel of models: where they run, what is stored, and ways to get more.

import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { StoredModel } from "glassine/models";
import { megabytes } from "../megabytes.ts";
import { closeElsewhere } from "../panels/menu.tsx";
import { Icon } from "../panels/icons.tsx";
import { CheckpointForm } from "./checkpoint.tsx";
import { DeviceChoice } from "./device.tsx";
import { ShelfList } from "./shelf-list.tsx";
import { refreshShelf } from "./shelf.ts";
import { findUnfinished, unfinished } from "./unfinished.ts";
import { cancelWork, failure, importPack, isBusy, progress, refresh, remove, storage, stored, verify } from "./work.ts";
import "./models.css";

const address = signal({ url: "", name: "" });

export function Models() {
  const details = useRef<HTMLDetailsElement>(null);
  useEffect(() => {
    void findUnfinished();
    return closeElsewhere(details.current!);
  }, []);
  return (
    <details class="models" id="models" ref={details} onToggle={() => void Promise.all([refresh(), refreshShelf()])}>
      <summary title="Models">
        <Icon name="model" /> <span>Models</span>
        {unfinished.value && <b class="mark">1 unfinished</b>}
      </summary>
      <div class="sheet">
        <DeviceChoice />
        <fieldset id="modelWork" disabled={isBusy.value}>
          <legend class="unseen">Models</legend>
          <ul id="modelList">
            {stored.value.map((model) => (
              <Row key={model.name} model={model} />
            ))}
          </ul>
          <ImportForm />
          <CheckpointForm />
        </fieldset>
        <Work />
        <ShelfList />
        <Storage />
        <p>
          <a href="guide/index.html">Guide</a> · <a href="bench.html">How fast is this device?</a> ·{" "}
          <a href="licences.txt">Licences</a>
        </p>
      </div>
    </details>
  );
}

function Row({ model: { name, bytes, builtIn, complete, origin } }: { model: StoredModel }) {
  const note = builtIn ? ", part of this page" : complete ? "" : ", not complete";
  return (
    <li>
      <span>
        {name}
        <small>{` ${megabytes(bytes)} MB${note}`}</small>
      </span>
      {complete && (
        <a class="button" href={`?${new URLSearchParams({ model: name })}`} aria-label={`Use ${name}`}>
          Use
        </a>
      )}
      {complete && !builtIn && <Act text="Verify" name={name} act={() => verify(name, false)} />}
      {complete && !builtIn && <Act text="Repair" name={name} act={() => verify(name, true)} />}
      {!complete && origin !== undefined && <Act text="Resume" name={name} act={() => importPack(origin, name)} />}
      {!builtIn && <Act text="Remove" name={name} act={() => remove(name)} />}
    </li>
  );
}

function Act({ text, name, act }: { text: string; name: string; act: () => Promise<unknown> }) {
  return (
    <button type="button" aria-label={`${text} ${name}`} onClick={() => void act()}>
      {text}
    </button>
  );
}

function ImportForm() {
  const { url, name } = address.value;
  return (
    <form
      id="importForm"
      autocomplete="off"
      onSubmit={(event) => {
        event.preventDefault();
        void importPack(url, name || undefined);
      }}
    >
      <h3>From a URL</h3>
      <label class="field">
        <span>URL of a pack's folder</span>
        <input
          name="url"
          type="text"
          inputMode="url"
          required
          placeholder="https://example.com/dreamshaper/"
          value={url}
          onInput={({ currentTarget }) => (address.value = { ...address.value, url: currentTarget.value })}
        />
      </label>
      <label class="field">
        <span>Name, if not the pack's own</span>
        <input
          name="name"
          type="text"
          maxLength={64}
          value={name}
          onInput={({ currentTarget }) => (address.value = { ...address.value, name: currentTarget.value })}
        />
      </label>
      <button type="submit">Import</button>
    </form>
  );
}

/** How far what is being done is, and what came of it. */
function Work() {
  const { text, share } = progress.value;
  return (
    <>
      <div class="status" role="status" aria-live="polite">
        <progress id="modelProgress" max={1} value={share} aria-label="Progress of the models" />
        <p id="modelStatus">{text}</p>
        <button type="button" id="modelCancel" hidden={!isBusy.value} onClick={cancelWork}>
          Cancel
        </button>
      </div>
      <div id="modelError" class="error" role="alert" hidden={!failure.value}>
        <strong>{failure.value?.message}</strong>
        <p>{failure.value?.hint}</p>
      </div>
    </>
  );
}

function Storage() {
  if (!storage.value) return <p class="storage" id="storage" />;
  const { usage, quota, persisted } = storage.value;
  const kept = persisted ? "keeps that" : "may remove that when the disk is full";
  return (
    <p class="storage" id="storage">
      {`This page stores ${megabytes(usage)} of ${megabytes(quota)} MB. The browser ${kept}.`}
    </p>
  );
}
