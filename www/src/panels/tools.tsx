// What the pointer does.

import { commands } from "../commands.ts";
import { accepted, pickFiles, takeFiles } from "../files.ts";
import { tool } from "../state/studio.ts";
import { CommandButton } from "./button.tsx";
import { Icon } from "./icons.tsx";

export function Tools() {
  return (
    <div class="rail" role="toolbar" aria-label="Tools" aria-orientation="vertical">
      <CommandButton command="moveTool" icon="move" pressed={tool.value === "move"} />
      <CommandButton command="handTool" icon="hand" pressed={tool.value === "hand"} />
      <CommandButton command="boxTool" icon="box" pressed={tool.value === "box"} />
      <CommandButton command="maskTool" icon="brush" pressed={tool.value === "mask"} />
      <CommandButton command="extendTool" icon="extend" pressed={tool.value === "extend"} />
      <CommandButton command="loupeTool" icon="loupe" pressed={tool.value === "loupe"} />
      <i class="rule" />
      <button type="button" class="tool" aria-label="Add pictures" title={commands.open.title} onClick={pickFiles}>
        <Icon name="picture" />
      </button>
      <input
        type="file"
        id="files"
        hidden
        multiple
        accept={accepted}
        aria-label="Files to open"
        onChange={({ currentTarget }) => {
          void takeFiles([...(currentTarget.files ?? [])]);
          // The same files can be chosen again.
          currentTarget.value = "";
        }}
      />
    </div>
  );
}
