// Mesa's lavapipe, which emulates a GPU.

import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";

const drivers = "/usr/share/vulkan/icd.d";

/** The file that tells Vulkan where lavapipe is; not there on every machine. */
export function findLavapipe() {
  const names = existsSync(drivers) ? readdirSync(drivers) : [];
  const name = names.find((name) => /^lvp_icd\b.*\.json$/.test(name));
  return name && join(drivers, name);
}
