// What a visitor has chosen from the disk, and what of a model each of it is.

import type { PackOptions, Quantization } from "glassine/models";

/** What a chosen file or folder can be, in the words of the page. */
export const roles = {
  checkpoint: "Checkpoint",
  transparencyDecoder: "Transparency decoder",
  transparencyEncoder: "Transparency encoder",
  attn: "Adapter for a transparent picture",
  joint: "Adapter for foreground and background together",
  fg2bg: "Adapter for a background",
  bg2fg: "Adapter for a foreground",
  taesdDecoder: "TAESD decoder",
  taesdEncoder: "TAESD encoder",
  lora: "LoRA",
  controlnet: "ControlNet",
  unused: "Leave out",
} as const;

export type Role = keyof typeof roles;

/** A file, or the files of a folder in diffusers' layout. */
export interface Choice {
  readonly name: string;
  /** Where it lies in what was chosen; empty for files that lie in no folder. */
  readonly path: string;
  readonly files: readonly File[];
  readonly isFolder: boolean;
  readonly role: Role;
  /** How much of a LoRA is merged. */
  readonly strength: number;
}

/** What the files are that are called as they were published. */
const published: [RegExp, Role][] = [
  [/layer_sd15_vae_transparent_decoder/i, "transparencyDecoder"],
  [/layer_sd15_vae_transparent_encoder/i, "transparencyEncoder"],
  [/layer_sd15_transparent_attn/i, "attn"],
  [/layer_sd15_joint/i, "joint"],
  [/layer_sd15_fg2bg/i, "fg2bg"],
  [/layer_sd15_bg2fg/i, "bg2fg"],
  [/taesd_decoder/i, "taesdDecoder"],
  [/taesd_encoder/i, "taesdEncoder"],
];

/**
 * Tells files by their names, and folders of a checkpoint or a ControlNet by what is
 * in them. Of the files that are left the largest is the checkpoint, if there is no
 * other; what lies in folders and holds no weights is passed over.
 */
export function recognise(files: readonly File[], hasCheckpoint: boolean): Choice[] {
  const named = files.flatMap((file) => {
    const role = publishedRole(file);
    return role ? [newChoice(pathOf(file), [file], role)] : [];
  });
  let rest = files.filter((file) => !publishedRole(file));
  const take = (root: string, role: Role): Choice => {
    const inside = rest.filter((file) => pathOf(file).startsWith(root));
    rest = rest.filter((file) => !inside.includes(file));
    return newChoice(root.slice(0, -1) || "model", inside, role, true);
  };
  const checkpoints = foldersWith("unet/config.json", rest).map((root) => take(root, "checkpoint"));
  const controlnets = foldersWith("config.json", rest).flatMap((root) => (root ? [take(root, "controlnet")] : []));

  const others = rest
    .filter((file) => !pathOf(file).includes("/") || /\.(safetensors|ckpt|pt|pth|bin)$/i.test(file.name))
    .sort((a, b) => b.size - a.size)
    .map((file) => newChoice(pathOf(file), [file], "unused"));
  const [largest, ...smaller] = others;
  const isCheckpoint = largest && !hasCheckpoint && checkpoints.length === 0;
  const first: Choice[] = isCheckpoint ? [{ ...largest, role: "checkpoint" }, ...smaller] : others;
  return [...checkpoints, ...first, ...named, ...controlnets];
}

/** Why these cannot be imported; undefined if they can. */
export function findProblem(choices: readonly Choice[]): string | undefined {
  const count = (role: Role): number => choices.filter((choice) => choice.role === role).length;
  if (count("checkpoint") === 0) return "Nothing here is the checkpoint yet.";
  const single = (Object.keys(roles) as Role[]).filter((role) => role !== "lora" && role !== "unused");
  const twice = single.find((role) => count(role) > 1);
  return twice && `There is more than one of this: ${roles[twice]}. Leave out all but one.`;
}

/** What a choice can be: a folder is a checkpoint or a ControlNet. */
export function rolesFor({ isFolder }: Choice): Role[] {
  return isFolder ? ["checkpoint", "controlnet", "unused"] : (Object.keys(roles) as Role[]);
}

/** The steps that a LoRA is for, which its name usually says. */
export function stepsOf(choices: readonly Choice[]): FewSteps {
  const names = choices.flatMap(({ role, name }) => (role === "lora" ? [name] : []));
  const kind = /(?<![a-z])(lcm|tcd)(?![a-z])/i.exec(names.join("\n"))?.[1];
  return (kind?.toLowerCase() ?? "") as FewSteps;
}

/** The sampler of few steps that a model is for; none for Stable Diffusion's own. */
export type FewSteps = "" | "lcm" | "tcd";

/** What is said of a packing beside its files. */
export interface PackSettings {
  /** Empty for the checkpoint's own. */
  readonly name: string;
  readonly quantize: Quantization;
  readonly fewSteps: FewSteps;
  /** Whether the checkpoint itself was trained on transparent pictures. */
  readonly nativeTransparency: boolean;
}

/** What `models.import` is given of them. */
export function toImport(
  choices: readonly Choice[],
  { quantize, fewSteps, nativeTransparency }: PackSettings,
): { checkpoint: readonly File[]; options: PackOptions } {
  const files = (role: Role): readonly File[] | undefined => choices.find((choice) => choice.role === role)?.files;
  const file = (role: Role): File | undefined => files(role)?.[0];
  return {
    checkpoint: files("checkpoint") ?? [],
    options: {
      quantize,
      nativeTransparency,
      defaults: fewSteps === "" ? {} : { steps: 4, guidance: 1, sampler: fewSteps },
      transparencyDecoder: file("transparencyDecoder"),
      transparencyEncoder: file("transparencyEncoder"),
      layers: { attn: file("attn"), joint: file("joint"), fg2bg: file("fg2bg"), bg2fg: file("bg2fg") },
      taesdDecoder: file("taesdDecoder"),
      taesdEncoder: file("taesdEncoder"),
      controlnet: files("controlnet"),
      loras: choices.flatMap(({ role, strength, files: [file] }) => (role === "lora" && file ? [{ file, strength }] : [])),
    },
  };
}

/** The length of files together. */
export function bytesOf(files: readonly File[]): number {
  return files.reduce((sum, { size }) => sum + size, 0);
}

function newChoice(path: string, files: readonly File[], role: Role, isFolder = false): Choice {
  return { name: path.slice(path.lastIndexOf("/") + 1), path, files, role, isFolder, strength: 1 };
}

function publishedRole({ name }: File): Role | undefined {
  return published.find(([pattern]) => pattern.test(name))?.[1];
}

/** The folders in which a file of this path lies, each with its final slash. */
function foldersWith(telltale: string, files: readonly File[]): string[] {
  const paths = files.map(pathOf).filter((path) => `/${path}`.endsWith(`/${telltale}`));
  return paths.map((path) => path.slice(0, -telltale.length));
}

export function pathOf(file: File): string {
  return file.webkitRelativePath || file.name;
}
