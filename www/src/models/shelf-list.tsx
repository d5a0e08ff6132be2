// What is on the shelf, in the panel of models.

import { models, type ShelfFile } from "glassine/models";
import { megabytes } from "../megabytes.ts";
import { attempt } from "../panels/notices.tsx";
import { addFiles } from "./checkpoint.tsx";
import { keep, shelf, takeOff } from "./shelf.ts";

export function ShelfList() {
  return (
    <section id="shelf" aria-labelledby="shelf-title">
      <h3 id="shelf-title">LoRAs, embeddings and ControlNets</h3>
      <ul id="shelfList">
        {shelf.value.map((file) => (
          <Row key={file.sha256} file={file} />
        ))}
      </ul>
      <label class="pick button">
        <input
          type="file"
          id="shelfFiles"
          accept=".safetensors,.pt,.pth,.bin"
          multiple
          aria-labelledby="shelf-title shelf-pick"
          onChange={({ currentTarget }) => {
            const files = [...(currentTarget.files ?? [])];
            currentTarget.value = "";
            void keepAll(files);
          }}
        />
        <span id="shelf-pick">Add files</span>
      </label>
    </section>
  );
}

async function keepAll(files: readonly File[]): Promise<void> {
  for (const file of files) {
    await attempt(`Putting ${file.name} on the shelf`, async (signal) => void (await keep(file, signal)));
  }
}

function Row({ file: { name, kind, description, bytes, baseModel, misfit } }: { file: ShelfFile }) {
  const base = baseModel ? `, trained on ${baseModel}` : "";
  return (
    <li>
      <span>
        {name}
        <small>{` ${megabytes(bytes)} MB, ${description}${base}`}</small>
        {misfit && <small class="misfit">{` Does not fit this model: ${misfit}.`}</small>}
      </span>
      {kind === "controlnet" && (
        <button
          type="button"
          aria-label={`Pack ${name} with a checkpoint`}
          onClick={() =>
            void attempt(`Opening ${name}`, async () =>
              addFiles({ files: [await models.shelf.open(name)], handles: new Map() }, "controlnet"),
            )
          }
        >
          Pack with a checkpoint
        </button>
      )}
      <button
        type="button"
        aria-label={`Remove ${name} from the shelf`}
        onClick={() => void attempt(`Removing ${name}`, (signal) => takeOff(name, signal))}
      >
        Remove
      </button>
    </li>
  );
}
