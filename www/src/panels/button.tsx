// A button that does a command, with its key in its tip.

import { type Command, type CommandName, commands, tip } from "../commands.ts";
import { Icon, type IconName } from "./icons.tsx";

export function CommandButton({ command, icon, pressed }: { command: CommandName; icon: IconName; pressed?: boolean }) {
  const { title, enabled, run }: Command = commands[command];
  const isOff = enabled ? !enabled() : false;
  return (
    <button
      type="button"
      class="tool"
      aria-label={title}
      title={tip(command)}
      aria-pressed={pressed}
      // Not `disabled`, which would take the focus from the button that has just been used.
      aria-disabled={isOff}
      onClick={() => isOff || run()}
    >
      <Icon name={icon} />
    </button>
  );
}
