// What waits to be made and what is being made, each with its progress and a way out.

import { Preview } from "../canvas/stage.tsx";
import { keepFocus } from "../panels/focus.ts";
import { Icon } from "../panels/icons.tsx";
import { cancel, type Job, jobs } from "./queue.ts";

export function QueueList() {
  if (jobs.value.length === 0) return null;
  return (
    <ol id="queue" class="queue" aria-label="In the queue">
      {jobs.value.map((job) => (
        <Entry key={job.id} job={job} />
      ))}
    </ol>
  );
}

function Entry({ job: { id, wish, state, status, preview } }: { job: Job }) {
  return (
    <li class={state}>
      <span class="thumb checker">{preview && <Preview image={preview} />}</span>
      <span class="words">
        <b>{wish.prompt}</b>
        <small>{status.text}</small>
        <progress max={1} value={status.share} aria-label={`Progress of ${wish.prompt}, seed ${wish.seed}`} />
      </span>
      <button
        type="button"
        class="ghost"
        aria-label={`Cancel ${wish.prompt}, seed ${wish.seed}`}
        title="Cancel"
        onClick={() => {
          cancel(id);
          keepFocus("[name=prompt]");
        }}
      >
        <Icon name="close" />
      </button>
    </li>
  );
}
