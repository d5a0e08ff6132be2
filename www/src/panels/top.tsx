// The bar at the top: the scene's name and files, undo, how the canvas is looked at.

import { commands } from "../commands.ts";
import { copyPicture, exportScene, type Format, pickFiles } from "../files.ts";
import { kept } from "../keep/autosave.ts";
import { Models } from "../models/panel.tsx";
import { camera, type Channels, channels, crisp, isEmpty, paper, sceneName, unnamed } from "../state/studio.ts";
import { CommandButton } from "./button.tsx";
import { dialog, panelOpen } from "./dialogs.ts";
import { Icon } from "./icons.tsx";
import { Menu } from "./menu.tsx";
import { attempt } from "./notices.tsx";
import { Swatches } from "./swatches.tsx";

export function Top() {
  return (
    <>
      <div class="brand">
        <svg viewBox="0 0 32 32" aria-hidden="true">
          <rect x="3" y="3" width="19" height="19" rx="5" />
          <rect x="10" y="10" width="19" height="19" rx="5" />
        </svg>
        <h1>Glassine</h1>
      </div>
      <button
        type="button"
        id="scenes"
        class="quiet-button"
        onClick={() => (dialog.value = "gallery")}
        title="All scenes"
      >
        <Icon name="gallery" /> <span>Scenes</span>
      </button>
      <input
        class="scene-name"
        aria-label="Name of the scene"
        value={sceneName.value}
        maxLength={120}
        onChange={({ currentTarget }) => (sceneName.value = currentTarget.value.trim() || unnamed)}
      />
      <span class="kept" role="status" data-state={kept.value}>
        {{ kept: "", keeping: "", "not kept": "Not stored" }[kept.value]}
      </span>
      <i class="gap" />
      <div class="tools">
        <CommandButton command="undo" icon="undo" />
        <CommandButton command="redo" icon="redo" />
      </div>
      <View />
      <button type="button" class="quiet-button wide-only" onClick={pickFiles} title={commands.open.title}>
        <Icon name="open" /> <span>Open</span>
      </button>
      <Export />
      <button
        type="button"
        class="tool wide-only"
        aria-label="All shortcuts"
        title="All shortcuts (?)"
        onClick={() => (dialog.value = "shortcuts")}
      >
        <Icon name="help" />
      </button>
      <button
        type="button"
        class="tool narrow-only"
        aria-label="Layers and properties"
        aria-expanded={panelOpen.value}
        onClick={() => (panelOpen.value = !panelOpen.value)}
      >
        <Icon name="layers" />
      </button>
      <Models />
    </>
  );
}

const formats: readonly [Format, string, string][] = [
  ["png", "PNG", "the scene in one picture"],
  ["webp", "WebP", "the same, lossless and smaller"],
  ["ora", "OpenRaster", "with its layers, for Krita, GIMP and others"],
  ["psd", "PSD", "with its layers, for Photoshop, Photopea and others"],
  ["zip", "Scene", "all in one file, which opens here again"],
  ["json", "Scene file", "scene.json, with its pictures beside it"],
];

function Export() {
  const empty = isEmpty.value;
  return (
    <Menu id="export" label="Export" icon="download">
      {formats.map(([format, name, what]) => (
        <button
          key={format}
          type="button"
          class="item"
          id={`scene-${format}`}
          disabled={empty}
          onClick={() => void attempt(`Writing ${name}`, (signal) => exportScene(format, signal))}
        >
          <b>{name}</b> <small>{what}</small>
        </button>
      ))}
      <button
        type="button"
        class="item"
        id="scene-copy"
        disabled={empty}
        onClick={() => void attempt("Copying the scene", () => copyPicture([]))}
      >
        <b>Copy</b> <small>the scene, to the clipboard</small>
      </button>
    </Menu>
  );
}

const papers: readonly [string, string][] = [
  ["checker", "Checkerboard"],
  ["#ffffff", "White"],
  ["#808080", "Grey"],
  ["#000000", "Black"],
];

const shows: readonly [Channels, string][] = [
  ["rgba", "All"],
  ["rgb", "Colour"],
  ["alpha", "Alpha"],
];

function View() {
  return (
    <>
      <div class="tools zoom">
        <CommandButton command="zoomOut" icon="minus" />
        <button
          type="button"
          class="percent"
          title="One pixel to a pixel (1)"
          aria-label={`Zoom is ${Math.round(camera.value.zoom * 100)} %. One pixel to a pixel`}
          onClick={commands.actualSize.run}
        >
          {Math.round(camera.value.zoom * 100)} %
        </button>
        <CommandButton command="zoomIn" icon="plus" />
        <CommandButton command="fit" icon="fit" />
      </div>
      <Menu id="view" label="View" icon="eye">
        <fieldset id="paper">
          <legend>Behind the scene</legend>
          <Swatches
            name="paper"
            choices={papers}
            value={paper.value}
            onValue={(value) => (paper.value = value)}
            colour={{ id: "colour", label: "A colour of your own" }}
          />
        </fieldset>
        <fieldset id="channels">
          <legend>Channels</legend>
          <div class="segments">
            {shows.map(([value, name]) => (
              <label key={value}>
                <input
                  type="radio"
                  name="channels"
                  value={value}
                  checked={channels.value === value}
                  onChange={() => (channels.value = value)}
                />
                <span>{name}</span>
              </label>
            ))}
          </div>
        </fieldset>
        <fieldset id="scaling">
          <legend>Enlarged pixels</legend>
          <div class="segments">
            {(
              [
                [false, "Smooth"],
                [true, "Crisp"],
              ] as const
            ).map(([value, name]) => (
              <label key={name}>
                <input
                  type="radio"
                  name="scaling"
                  value={name.toLowerCase()}
                  checked={crisp.value === value}
                  onChange={() => (crisp.value = value)}
                />
                <span>{name}</span>
              </label>
            ))}
          </div>
        </fieldset>
      </Menu>
    </>
  );
}
