// What the next picture will take, said before it is made.

import { computed, signal, useSignalEffect } from "@preact/signals";
import { inWords, memoryFor, secondsFor, type Work } from "./foretell.ts";
import { info } from "./model.ts";
import { next } from "./settings.ts";

const memory = signal("");
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
    if (!now || !info.value?.modes.includes(now.mode)) return void (memory.value = "");
    const controller = new AbortController();
    const timer = setTimeout(() => {
      memoryFor(now, controller.signal).then(
        (text) => (memory.value = text),
        () => (memory.value = ""),
      );
    }, pause);
    return () => {
      clearTimeout(timer);
      controller.abort();
    };
  });
  const now = work();
  const seconds = now && secondsFor(now);
  const parts = [
    ...(now ? [`${now.width} × ${now.height}`] : []),
    ...(seconds === undefined ? [] : [inWords(seconds)]),
    ...(memory.value ? [memory.value] : []),
  ];
  return (
    <p id="foretold" class="foretold" title="What the next picture takes, by those before it and by the model">
      {parts.join(", ")}
    </p>
  );
}
