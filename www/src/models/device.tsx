// Where models run: on the GPU or the CPU.

import { chooseDevice, device, type DeviceChoice as Choice, deviceName, info, support } from "../making/model.ts";
import { jobs } from "../making/queue.ts";

const choices: readonly [Choice, string][] = [
  ["auto", "Automatic"],
  ["webgpu", "GPU"],
  ["cpu", "CPU"],
];

export function DeviceChoice() {
  return (
    <fieldset id="device" aria-describedby="deviceHint">
      <legend>Where pictures are made</legend>
      <div class="segments">
        {choices.map(([value, name]) => (
          <label key={value}>
            <input
              type="radio"
              name="device"
              value={value}
              checked={device.value === value}
              onChange={() => chooseDevice(value, jobs.value.length > 0)}
            />
            <span>{name}</span>
          </label>
        ))}
      </div>
      <p id="deviceHint">
        {meaning(device.value)} {info.value && `Now it is the ${deviceName(info.value)}.`} What you choose is kept for your
        next visit.
      </p>
    </fieldset>
  );
}

/** What a choice means in this browser. */
function meaning(choice: Choice): string {
  const found = support.value?.reasons.join(" ") ?? "";
  if (choice === "cpu") return "One core of the processor: in every browser, and slow with large models.";
  if (choice === "webgpu") return `The graphics processor, through WebGPU: many times faster where it is a real one. ${found}`;
  return `The GPU where there is one that is faster, else the CPU. ${found}`;
}
