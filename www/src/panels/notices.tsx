// What the page has to say beside the work: what went wrong and what to do about it, warnings, what was done.

import { signal } from "@preact/signals";
import { GlassineError } from "glassine";
import { keepFocus } from "./focus.ts";
import { Icon } from "./icons.tsx";

export interface Notice {
  readonly kind: "error" | "warning" | "done" | "offer";
  readonly title: string;
  readonly text?: string | undefined;
  /** What can be done about it. */
  readonly action?: { readonly label: string; readonly run: () => void } | undefined;
}

const notices = signal<readonly Notice[]>([]);
/** How long what needs no doing stays, in milliseconds. */
const stay = 6000;

export function note(notice: Notice): void {
  const others = notices.value.filter(({ title, text }) => title !== notice.title || text !== notice.text);
  notices.value = [...others, notice].slice(-4);
  if (notice.kind === "done") setTimeout(() => dismiss(notice), stay);
}

/** Says what went wrong, unless somebody wanted it to end. */
export function fail(error: unknown): void {
  if (isAbort(error)) return;
  const { message, hint } = error instanceof GlassineError ? error : { message: readable(error), hint: "" };
  note({ kind: "error", title: message, text: hint });
}

/** Milliseconds after which it is said that something takes a while. */
const patience = 300;
/** What takes a while, with what ends it. */
const tasks = signal<readonly { title: string; cancel: () => void }[]>([]);

/** Does what may take a while: then it is said, and can be cancelled. What goes wrong is said, too. */
export async function attempt(title: string, work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const controller = new AbortController();
  const task = { title, cancel: () => controller.abort() };
  const timer = setTimeout(() => (tasks.value = [...tasks.value, task]), patience);
  try {
    await work(controller.signal);
  } catch (error) {
    fail(error);
  } finally {
    clearTimeout(timer);
    tasks.value = tasks.value.filter((each) => each !== task);
  }
}

export function isAbort(error: unknown): boolean {
  return error instanceof GlassineError && error.code === "aborted";
}

function readable(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Takes away the errors, as a new attempt does. */
export function clearErrors(): void {
  if (notices.value.some(({ kind }) => kind === "error"))
    notices.value = notices.value.filter(({ kind }) => kind !== "error");
}

function dismiss(notice: Notice): void {
  notices.value = notices.value.filter((each) => each !== notice);
}

export function Notices() {
  const errors = notices.value.filter(({ kind }) => kind === "error");
  const others = notices.value.filter(({ kind }) => kind !== "error");
  return (
    <div class="notices">
      <div id="error" role="alert" hidden={errors.length === 0}>
        {errors.map((notice) => (
          <Item key={notice.title + notice.text} notice={notice} />
        ))}
      </div>
      <div role="status">
        {tasks.value.map(({ title, cancel }) => (
          <div key={title} class="notice">
            <div>
              <strong>{title}</strong>
              <progress aria-label={title} />
            </div>
            <button type="button" onClick={cancel}>
              Cancel
            </button>
          </div>
        ))}
        {others.map((notice) => (
          <Item key={notice.title + notice.text} notice={notice} />
        ))}
      </div>
    </div>
  );
}

function Item({ notice }: { notice: Notice }) {
  return (
    <div class={`notice ${notice.kind}`}>
      <div>
        <strong>{notice.title}</strong>
        {notice.text && <p>{notice.text}</p>}
        {notice.action && (
          <button
            type="button"
            onClick={() => {
              dismiss(notice);
              notice.action?.run();
            }}
          >
            {notice.action.label}
          </button>
        )}
      </div>
      <button
        type="button"
        class="ghost"
        aria-label="Dismiss"
        title="Dismiss"
        onClick={() => {
          dismiss(notice);
          keepFocus();
        }}
      >
        <Icon name="close" />
      </button>
    </div>
  );
}
