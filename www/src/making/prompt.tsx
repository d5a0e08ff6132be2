// The prompt, with what the model was taught offered as somebody types, and what it was not taught said.

import { computed, signal, useSignalEffect } from "@preact/signals";
import { useRef } from "preact/hooks";
import { shelf } from "../models/shelf.ts";
import { info } from "./model.ts";
import { manyFrames, settings } from "./settings.ts";
import { complete, type Completion, untaught, withoutUnfinished } from "./words.ts";

/** What the model was taught, and the embeddings at hand, if that is less than everything. */
const phrases = computed(() => {
  const words = info.value?.words ?? [];
  return words.length === 0 ? words : [...words, ...embeddings.value.map(({ name }) => name)];
});
const embeddings = computed(() => shelf.value.filter(({ kind, misfit }) => kind === "embedding" && misfit === undefined));
const completion = signal<Completion | undefined>(undefined);
/** Which of what is offered is chosen by keys, if one is. */
const active = signal<number | undefined>(undefined);

function close(): void {
  completion.value = undefined;
  active.value = undefined;
}

/** Offers what the text at the caret may become. */
function look({ value, selectionStart, selectionEnd }: HTMLTextAreaElement): void {
  active.value = undefined;
  completion.value = selectionStart === selectionEnd ? complete(value, selectionStart, phrases.value) : undefined;
}

/** Writes what was offered into the prompt. */
function accept(field: HTMLTextAreaElement, { from, to, offers }: Completion, index: number): void {
  field.setRangeText(offers[index] ?? "", from, to, "end");
  close();
  field.dispatchEvent(new Event("input", { bubbles: true }));
  close();
}

/** Writes words behind what the prompt says. */
export function writeIntoPrompt(words: string): void {
  const field = document.querySelector<HTMLTextAreaElement>("textarea[name=prompt]");
  if (!field) return;
  const before = field.value.trimEnd().replace(/,$/, "");
  field.value = before === "" ? words : `${before}, ${words}`;
  field.dispatchEvent(new Event("input", { bubbles: true }));
  close();
  field.focus();
}

export function Prompt({ initial }: { initial: string }) {
  const field = useRef<HTMLTextAreaElement>(null);
  const offered = completion.value;
  return (
    <div class="bar-prompt">
      {offered && <Offers offered={offered} onAccept={(index) => accept(field.current!, offered, index)} />}
      <textarea
        ref={field}
        name="prompt"
        rows={1}
        required
        maxLength={2000}
        aria-label="Prompt"
        aria-describedby="untaught"
        aria-autocomplete={phrases.value.length > 0 ? "list" : undefined}
        aria-controls={offered && "offers"}
        aria-activedescendant={offered && active.value !== undefined ? `offer-${active.value}` : undefined}
        placeholder="A red apple, a glass bottle, a paper boat…"
        defaultValue={initial}
        onInput={({ currentTarget }) => look(currentTarget)}
        onClick={({ currentTarget }) => offered && look(currentTarget)}
        onBlur={close}
        onKeyDown={followKeys}
      />
      <p class="unseen" role="status">
        {offered ? `${offered.offers.length} suggestions: arrow down to choose` : ""}
      </p>
      <Untaught />
    </div>
  );
}

function followKeys(event: KeyboardEvent & { currentTarget: HTMLTextAreaElement }): void {
  const { key, currentTarget: field } = event;
  if (event.isComposing) return;
  const offered = completion.value;
  if (offered && followOffers(key, field, offered)) return event.preventDefault();
  // Back to the canvas.
  if (key === "Escape") document.querySelector<HTMLElement>("#stage")?.focus();
  if (key !== "Enter" || event.shiftKey) return;
  event.preventDefault();
  close();
  field.form?.requestSubmit();
}

/** What keys do while something is offered; gives whether they did anything. */
function followOffers(key: string, field: HTMLTextAreaElement, offered: Completion): boolean {
  const { length } = offered.offers;
  const at = active.value;
  if (key === "ArrowDown") active.value = at === undefined ? 0 : (at + 1) % length;
  else if (key === "ArrowUp" && at !== undefined) active.value = (at - 1 + length) % length;
  else if (key === "Escape") close();
  else if ((key === "Enter" || key === "Tab") && at !== undefined) accept(field, offered, at);
  else return false;
  return true;
}

function Offers({ offered: { offers }, onAccept }: { offered: Completion; onAccept: (index: number) => void }) {
  return (
    <ul id="offers" class="offers" role="listbox" aria-label="What the model was taught">
      {offers.map((offer, index) => (
        <li
          key={offer}
          id={`offer-${index}`}
          role="option"
          aria-selected={active.value === index}
          // The focus stays where it is typed.
          onMouseDown={(event) => event.preventDefault()}
          onClick={() => onAccept(index)}
        >
          {offer}
        </li>
      ))}
    </ul>
  );
}

/** Milliseconds without a change after which it is said. */
const pause = 350;
const unknown = signal<readonly string[]>([]);

/** The words that the model was not taught, said before they are drawn as something else. */
function Untaught() {
  useSignalEffect(() => {
    const { value: now } = settings;
    if (!now || phrases.value.length === 0) return void (unknown.value = []);
    const { prompt, foregroundPrompt, backgroundPrompt, blendedPrompt, mode } = now;
    const others = manyFrames.includes(mode) ? [foregroundPrompt, backgroundPrompt, blendedPrompt] : [];
    const timer = setTimeout(() => {
      const begun = document.activeElement?.getAttribute("name") === "prompt";
      const text = begun ? withoutUnfinished(prompt, phrases.value) : prompt;
      unknown.value = untaught([text, ...others].join(" "), phrases.value);
    }, pause);
    return () => clearTimeout(timer);
  });
  const words = unknown.value;
  return (
    <p id="untaught" class="untaught" role="status">
      {words.length > 0 &&
        `${info.value?.name} was not taught: ${words.join(", ")}. Such words are drawn as something else, or not at all.`}
    </p>
  );
}
