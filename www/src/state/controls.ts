// Pictures that steer what is made: plain data, no browser.

import type { Mask } from "./brush.ts";
import type { History } from "./history.ts";

/** A layer as it is then, a picture of the visitor's, or what was drawn. */
export type Source =
  | { readonly layer: string }
  | { readonly picture: string; readonly name: string }
  | { readonly drawing: History<Mask> };

/** What is made of a source for a ControlNet to see. */
export type Look = "picture" | "edges" | "outline";

export interface Control {
  readonly id: string;
  readonly source: Source;
  /** Undefined until somebody chooses. */
  readonly look?: Look | undefined;
  /** The id of the ControlNet that is to see it, once somebody has chosen one. */
  readonly net?: string | undefined;
  /** How strongly it steers. */
  readonly scale: number;
  /** The part of the steps in which it does. */
  readonly start: number;
  readonly end: number;
}

export interface ControlNet {
  readonly id: string;
  readonly name: string;
  /** Its file, or its name on the shelf; undefined if it is the model's own. */
  readonly file?: Blob | string | undefined;
  /** Why it does not fit the model. */
  readonly misfit?: string | undefined;
}

/** A control with what follows from the ControlNets that there are. */
export interface Steering extends Control {
  readonly look: Look;
  readonly by: ControlNet;
}

/** Those that see lines, which can be found in any picture, and those that see what people draw. */
const [ofLines, ofDrawings] = [/scribble|canny|lineart/i, /scribble|sketch|lineart|canny/i];

/** Says what sees a control and what it sees: as was chosen, where that can be, and else as suits it. Undefined if nothing fits. */
export function steering(control: Control, nets: readonly ControlNet[]): Steering | undefined {
  const able = nets.filter(({ misfit }) => misfit === undefined);
  const isDrawn = "drawing" in control.source;
  const by =
    able.find(({ id }) => id === control.net) ?? able.find(({ name }) => isDrawn && ofDrawings.test(name)) ?? able[0];
  if (!by) return undefined;
  const usual = ofLines.test(by.name) ? "edges" : "picture";
  return { ...control, by, look: isDrawn ? "picture" : (control.look ?? usual) };
}

/** The least part of the steps that a control can act in. */
const least = 0.01;

/** Moves where a control begins or ends to act, and the other where it would be in the way. */
export function inSteps(control: Control, at: Partial<Pick<Control, "start" | "end">>): Control {
  const { start, end } = { ...control, ...at };
  if (at.start !== undefined) {
    const from = Math.min(1 - least, Math.max(0, start));
    return { ...control, start: from, end: Math.max(end, from + least) };
  }
  const to = Math.min(1, Math.max(least, end));
  return { ...control, end: to, start: Math.min(start, to - least) };
}
