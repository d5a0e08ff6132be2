// What an empty canvas says.

import { jobs } from "../making/queue.ts";
import { camera, doc, isEmpty, tool } from "../state/studio.ts";
import { pickFiles } from "../files.ts";
import { Icon } from "../panels/icons.tsx";

export function Welcome() {
  if (!isEmpty.value || jobs.value.length > 0 || tool.value === "draw") return null;
  const { x, y, zoom } = camera.value;
  const style = {
    width: `${doc.value.width * zoom}px`,
    height: `${doc.value.height * zoom}px`,
    transform: `translate(${x}px, ${y}px)`,
  };
  return (
    <div class="welcome" style={style}>
      <div>
        <Icon name="layers" />
        <h2>Layers with real transparency</h2>
        <p>Describe one below and it is made here, by your own device. Or bring your own pictures: drop, paste or</p>
        <button type="button" onPointerDown={(event) => event.stopPropagation()} onClick={() => pickFiles()}>
          Choose files
        </button>
      </div>
    </div>
  );
}
