// Undo and redo of whole states, each of which shares with its neighbours what has not changed.

/** How many states are kept. */
const depth = 200;

export interface History<State> {
  readonly past: readonly State[];
  readonly present: State;
  readonly future: readonly State[];
  /** What the last change was part of: the next one with the same key goes into the same step. */
  readonly key: string | undefined;
}

export function begin<State>(present: State): History<State> {
  return { past: [], present, future: [], key: undefined };
}

/** A new state; with the key of the one before, as a drag has it at each movement, it takes its place. */
export function change<State>(history: History<State>, present: State, key?: string): History<State> {
  if (present === history.present) return history;
  if (key !== undefined && key === history.key) return { ...history, present, future: [] };
  return { past: [...history.past, history.present].slice(-depth), present, future: [], key };
}

/** Ends a step that several changes went into. */
export function settle<State>(history: History<State>): History<State> {
  return history.key === undefined ? history : { ...history, key: undefined };
}

export function undo<State>({ past, present, future, ...history }: History<State>): History<State> {
  const previous = past.at(-1);
  if (previous === undefined) return { past, present, future, ...history };
  return { past: past.slice(0, -1), present: previous, future: [present, ...future], key: undefined };
}

export function redo<State>({ past, present, future, ...history }: History<State>): History<State> {
  const [next, ...rest] = future;
  if (next === undefined) return { past, present, future, ...history };
  return { past: [...past, present], present: next, future: rest, key: undefined };
}

/** The steps next to the present one, at most so many each way: what is kept from one visit to the next. */
export function nearest<State>({ past, present, future }: History<State>, steps: number): History<State> {
  return { past: past.slice(-steps), present, future: future.slice(0, steps), key: undefined };
}
