// One writer or several readers of a model, or of the shelf, in all tabs together.

import { storageUnavailable } from "./folder.js";

/** The shelf of files beside models. */
export const theShelf = Symbol("shelf");

/** What is locked: a model by its name, or the shelf. */
type Locked = string | typeof theShelf;

/** Runs `work` once the lock is had, and holds it until that has finished. `onWait` is told if others have it. */
export async function withLock<T>(
  what: Locked,
  { mode, signal, onWait }: { mode: LockMode; signal: AbortSignal; onWait?: () => void },
  work: () => Promise<T>,
): Promise<T> {
  // Pages without storage have no locks either.
  if (!navigator.locks) throw storageUnavailable();
  const lock = lockName(what);
  const { held } = await navigator.locks.query();
  if (held?.some((other) => other.name === lock && (other.mode === "exclusive" || mode === "exclusive"))) onWait?.();
  return navigator.locks.request(lock, { mode, signal }, work);
}

/** Runs `work` with the lock, and gives true, if nobody has it. */
export async function withFreeLock(what: Locked, work: () => Promise<void>): Promise<boolean> {
  return navigator.locks.request(lockName(what), { mode: "exclusive", ifAvailable: true }, async (lock) => {
    if (lock) await work();
    return lock !== null;
  });
}

/** Waits until nobody writes this model, and keeps writers away until the given function is called. */
export function holdForReading(name: string, signal: AbortSignal): Promise<() => void> {
  return new Promise((resolve, reject) => {
    const work = (): Promise<void> => new Promise((release) => resolve(release));
    withLock(name, { mode: "shared", signal }, work).catch(reject);
  });
}

function lockName(what: Locked): string {
  return what === theShelf ? "glassine/shelf" : `glassine/models/${what}`;
}
