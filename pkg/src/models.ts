/** The models that can be used without a download. */
import { miniBytes } from "./internal/mini.js";

/** A model that `createEngine` knows by its name. */
export interface StoredModel {
  /** What to give as `model` to `createEngine`. */
  readonly name: string;
  /** The size of its files. */
  readonly bytes: number;
  /** Whether it comes with the package. */
  readonly builtIn: boolean;
}

/** How much this page's origin may store and has stored, in bytes; as the browser estimates it. */
export interface StorageEstimate {
  readonly usage: number;
  readonly quota: number;
}

export const models = Object.freeze({
  /** The models that `createEngine` knows by name. */
  async list(): Promise<StoredModel[]> {
    return [{ name: "mini", bytes: miniBytes, builtIn: true }];
  },

  /** What the browser grants this page's origin; zeros where it does not say. */
  async estimate(): Promise<StorageEstimate> {
    const { usage = 0, quota = 0 } = (await globalThis.navigator?.storage?.estimate()) ?? {};
    return { usage, quota };
  },
});
