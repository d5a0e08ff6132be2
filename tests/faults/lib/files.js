// The files of a checkpoint, as a visitor drops them on the page.

import { cpSync, readdirSync } from "node:fs";
import { join, relative } from "node:path";
import { checkpoint, companion } from "../../browser/lib/golden.js";
import { scratch } from "../../browser/lib/native.js";

/** A folder with the tiny checkpoint's files and the transparency decoder, for `open`'s `pack`, and their paths in it. */
export function checkpointFolder(t) {
  const folder = scratch(t);
  cpSync(checkpoint(scratch(t)), folder, { recursive: true });
  cpSync(companion("vae_transparent_decoder"), join(folder, "decoder.safetensors"));
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return { folder, paths: entries.map(({ parentPath, name }) => relative(folder, join(parentPath, name))) };
}

/** Gives the page a function `packing(options)`, which imports those files as "tiny". */
export const giveFiles = (page, paths) =>
  page.evaluate(async (paths) => {
    const blobs = await Promise.all(paths.map(async (path) => (await fetch(`/pack/${path}`)).blob()));
    const files = paths.map((path, index) => new File([blobs[index]], path));
    const decoder = files.find(({ name }) => name === "decoder.safetensors");
    const model = files.filter((file) => file !== decoder);
    window.packing = (options) => models.import(model, { name: "tiny", transparencyDecoder: decoder, ...options });
  }, paths);
