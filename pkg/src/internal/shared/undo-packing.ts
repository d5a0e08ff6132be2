import { withFreeLock } from "./locks.js";
import { ModelFolder } from "./store.js";

/** Removes what a packing that was cut off has left of a model; gives false while somebody else has the model. */
export async function undoPacking(name: string): Promise<boolean> {
  return withFreeLock(name, async () => (await ModelFolder.find(name))?.undoPacking());
}

/** The same for all models: pages that were closed have undone nothing. What fails is left for another time. */
export async function undoPackings(): Promise<void> {
  for (const { name } of await ModelFolder.all()) await undoPacking(name).catch(() => {});
}
