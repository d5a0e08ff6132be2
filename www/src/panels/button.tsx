// A button that does a command, with its key in its tip.

import { type Command, type CommandName, commands, tip } from "../commands.ts";
import { Icon, type IconName } from "./icons.tsx";

export function CommandButton({ command, icon, pressed }: { command: CommandName; icon: IconName; pressed?: boolean }) {
  const { title, enabled, run }: Command = commands[command];
  return (
    <button
      type="button"
      class="tool"
      aria-label={title}
      title={tip(command)}
      aria-pressed={pressed}
      disabled={enabled ? !enabled() : false}
      onClick={run}
    >
      <Icon name={icon} />
    </button>
  );
}
