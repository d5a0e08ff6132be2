// What the next picture will take, said before it is made.

import { computed, useSignalEffect } from "@preact/signals";
import { estimate, inWords, look, secondsFor, type Work } from "./foretell.ts";
import { info } from "./model.ts";
import { next } from "./settings.ts";

/** Milliseconds without a change after which it is looked up. */
const pause = 250;

/** As text, which stays the same while the scene changes in other ways. */
const text = computed(() => {
  const [wish, model] = [next.value, info.value];
  if (!wish || !model) return "";
  const { steps = model.defaults.steps, guidance = model.defaults.guidance } = wish.options;
  return JSON.stringify({
    ...wish.size,
    mode: wish.mode,
    steps,
    guidance,
    count: wish.count,
  } satisfies Work);
});

function work(): Work | undefined {
  return text.value ? (JSON.parse(text.value) as Work) : undefined;
}

export function Foretold() {
  useSignalEffect(() => {
    const now = work();
    if (!now || !info.value?.modes.includes(now.mode)) return void (estimate.value = undefined);
    const controller = new AbortController();
    const { signal } = controller;
    const timer = setTimeout(() => {
      look(now, signal).catch(() => signal.aborted || (estimate.value = undefined));
    }, pause);
    return () => {
      clearTimeout(timer);
      controller.abort();
    };
  });
  const now = work();
  const seconds = now && secondsFor(now);
  const bytes = estimate.value?.gpuMemory.allLoaded;
  const parts = [
    ...(now ? [`${now.width} × ${now.height}`] : []),
    ...(seconds === undefined ? [] : [inWords(seconds)]),
    ...(bytes === undefined ? [] : [`up to ${Math.ceil(bytes / 1e6)} MB of memory`]),
  ];
  return (
    <p id="foretold" class="foretold" title="What the next picture takes, by those before it and by the model">
      {parts.join(", ")}
    </p>
  );
}
