// What a file of weights is, as far as the page has to know where it belongs.

/** The longest header that is read. */
const most = 32 * 2 ** 20;

const isWeights = ({ name }: File): boolean => /\.(safetensors|ckpt|pt|pth|bin)$/i.test(name);

/** Files of weights, and the others. */
export function divide(files: readonly File[]): { weights: File[]; others: File[] } {
  return { weights: files.filter(isWeights), others: files.filter((file) => !isWeights(file)) };
}

/**
 * Whether a file is a ControlNet, or a checkpoint, which is no file for the shelf. By the names of its tensors; of anything
 * else the shelf says what it is.
 */
export async function kindOf(file: File): Promise<"controlnet" | "checkpoint" | undefined> {
  if (/\.ckpt$/i.test(file.name)) return "checkpoint";
  const names = await tensorNames(file);
  const has = (...starts: string[]): boolean => names.some((name) => starts.some((start) => name.startsWith(start)));
  if (has("control_model.", "controlnet_cond_embedding.", "input_hint_block.")) return "controlnet";
  if (has("model.diffusion_model.", "cond_stage_model.", "first_stage_model.")) return "checkpoint";
  return undefined;
}

/** The names in a .safetensors file's header; none if it cannot be read. */
async function tensorNames(file: File): Promise<string[]> {
  try {
    const length = Number(new DataView(await file.slice(0, 8).arrayBuffer()).getBigUint64(0, true));
    if (length > most) return [];
    return Object.keys(JSON.parse(await file.slice(8, 8 + length).text()) as object);
  } catch {
    return [];
  }
}
