// Asked before a model takes the place of another of its name.

import { signal } from "@preact/signals";
import type { StoredModel } from "glassine/models";
import { megabytes } from "../megabytes.ts";
import { Dialog } from "../panels/dialog.tsx";
import { dialog } from "../panels/dialogs.ts";

interface Question {
  readonly model: StoredModel;
  readonly otherName: string;
  readonly answer: (name: string | undefined) => void;
}

const question = signal<Question | undefined>(undefined);

/** Gives the name under which to store what comes: the model's own, the other one, or none if all is to stay as it is. */
export async function askToReplace(model: StoredModel, otherName: string): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  question.value = { model, otherName, answer: resolve };
  dialog.value = "replace";
  return promise;
}

function answer(name?: string): void {
  question.value?.answer(name);
  question.value = undefined;
  dialog.value = undefined;
}

export function ReplaceDialog() {
  return (
    <Dialog name="replace" title="Replace a model?" onClose={answer}>
      {question.value && <Choices {...question.value} />}
    </Dialog>
  );
}

function Choices({ model: { name, bytes, origin }, otherName }: Question) {
  const from = origin === undefined ? "made of files on this device" : `from ${origin}`;
  return (
    <>
      <p>
        A model called <b>{name}</b> is stored already: {megabytes(bytes)} MB, {from}. What is imported now would take its
        place for good, once it is complete.
      </p>
      <div class="actions">
        <button type="button" class="primary" onClick={() => answer(otherName)}>
          Keep both, the new one as {otherName}
        </button>
        <button type="button" onClick={() => answer(name)}>
          Replace {name}
        </button>
        <button type="button" onClick={() => answer()}>
          Cancel
        </button>
      </div>
    </>
  );
}
