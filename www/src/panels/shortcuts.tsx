// All shortcuts, as the commands have them.

import { type Command, commands, keyLabel } from "../commands.ts";
import { Dialog } from "./dialog.tsx";

const sections = ["Make", "Edit", "Layers", "View"] as const;

/** What is done with the pointer, and with keys while it is. */
const gestures: readonly [string, string][] = [
  ["Move by one pixel, or ten", "Arrows, Shift+Arrows"],
  ["Select several", "Shift+Click, or drag over them"],
  ["Take one layer of a group", "Double click"],
  ["Keep to one axis, turn by 15°", "Shift while dragging"],
  ["Scale about the centre", "Alt while dragging"],
  ["Without snapping", "Ctrl while dragging"],
  ["Erase from the mask", "Alt while painting"],
  ["The layer as it was before", "Hold C"],
  ["Zoom", "Ctrl+Wheel, or pinch"],
];

export function Shortcuts() {
  return (
    <Dialog name="shortcuts" title="Shortcuts">
      <div class="shortcuts">
        {sections.map((section) => (
          <section key={section}>
            <h3>{section}</h3>
            <dl>
              {Object.values(commands)
                .filter((command: Command) => command.section === section && command.keys.length > 0)
                .map(({ title, keys }: Command) => (
                  <div key={title}>
                    <dt>{title}</dt>
                    <dd>
                      {keys.map((key) => (
                        <kbd key={key}>{keyLabel(key)}</kbd>
                      ))}
                    </dd>
                  </div>
                ))}
            </dl>
          </section>
        ))}
        <section>
          <h3>On the canvas</h3>
          <dl>
            {gestures.map(([what, how]) => (
              <div key={what}>
                <dt>{what}</dt>
                <dd>{how}</dd>
              </div>
            ))}
          </dl>
        </section>
      </div>
    </Dialog>
  );
}
