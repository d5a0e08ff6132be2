// What is checked of options before anything is done with them: that they are known, and of the right kind. Ranges are
// checked by the engine.

import { GlassineError } from "../../public/errors.js";
import { suggestion } from "./suggestions.js";

/** What an option can be: of a kind, or one of a list. */
export type Kind = "text" | "number" | "whole" | "count" | "flag" | "floats" | "fields" | readonly (string | number)[];

const kinds: Record<Extract<Kind, string>, { what: string; fits: (value: unknown) => boolean }> = {
  text: { what: "a string", fits: (value) => typeof value === "string" },
  number: { what: "a number", fits: (value) => Number.isFinite(value) },
  whole: { what: "a whole number from 0 to 2^53 - 1", fits: (value) => Number.isSafeInteger(value) && (value as number) >= 0 },
  count: { what: "a whole number from 1", fits: (value) => Number.isSafeInteger(value) && (value as number) >= 1 },
  flag: { what: "true or false", fits: (value) => typeof value === "boolean" },
  fields: { what: "an object", fits: (value) => typeof value === "object" && value !== null && !Array.isArray(value) },
  floats: { what: "a Float32Array", fits: (value) => value instanceof Float32Array },
};

/** The options of a call, which has no others than those that are known. */
export function checkOptions<Options extends object>(call: string, options: Options | undefined, known: readonly string[]): Options {
  if (options === undefined) return {} as Options;
  checkObject(call, options);
  const unknown = Object.keys(options).find((name) => !known.includes(name));
  if (unknown !== undefined) {
    throw new GlassineError("bad_option", `there is no option "${unknown}" for ${call}`, {
      hint: suggestion(unknown, known, "options") ?? `There are ${known.join(", ")}.`,
    });
  }
  for (const [name, value] of Object.entries(options)) if (value !== undefined) checkCommon(name, value);
  return options;
}

/** Refuses what is no object, where the options of a call are to be. */
export function checkObject(call: string, options: unknown): asserts options is object {
  if (kinds.fields.fits(options)) return;
  throw new GlassineError("bad_option", `${call} takes an object of options, not ${show(options)}`);
}

/** What every call takes: a signal, and functions that it calls. */
function checkCommon(name: string, value: unknown): void {
  if (name === "signal" && !isSignal(value)) {
    throw new GlassineError("bad_option", `signal must be an AbortSignal, not ${show(value)}`, {
      hint: "Give the signal of an AbortController, not the controller.",
    });
  }
  if (/^on[A-Z]/.test(name) && typeof value !== "function") {
    throw new GlassineError("bad_option", `${name} must be a function, not ${show(value)}`);
  }
}

/** Checks what each option is that has a value. */
export function checkKinds(options: object, kindOf: Readonly<Record<string, Kind>>): void {
  for (const [name, kind] of Object.entries(kindOf)) {
    const value = (options as Record<string, unknown>)[name];
    if (value !== undefined && value !== null) checkKind(name, value, kind);
  }
}

/** Checks what an option is. */
export function checkKind(name: string, value: unknown, kind: Kind): void {
  if (typeof kind === "string") {
    const { what, fits } = kinds[kind];
    if (!fits(value)) throw new GlassineError("bad_option", `${name} must be ${what}, not ${show(value)}`);
    return;
  }
  if (kind.includes(value as string | number)) return;
  const words = kind.filter((word) => typeof word === "string");
  const suggested = typeof value === "string" ? suggestion(value, words, name) : undefined;
  throw new GlassineError("bad_option", `${name} cannot be ${show(value)}`, {
    hint: suggested ?? `Use ${kind.map((word) => JSON.stringify(word)).join(", ")}.`,
  });
}

/** Whether it is a signal, of this page or of another. */
function isSignal(value: unknown): boolean {
  const { aborted, addEventListener, removeEventListener } = Object(value) as Partial<AbortSignal>;
  return typeof aborted === "boolean" && typeof addEventListener === "function" && typeof removeEventListener === "function";
}

/** A value as a message shows it. */
export function show(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}...` : value);
  if (typeof value === "function") return "a function";
  if (typeof value !== "object" || value === null) return String(value);
  if (Array.isArray(value)) return "a list";
  const { name = "Object" } = (value.constructor ?? Object) as { name?: string };
  // Classes of a page, and this package's own, have other names once they are built.
  const isKnown = name !== "Object" && Reflect.get(globalThis, name) === value.constructor;
  return isKnown ? `a ${name}` : "an object";
}
