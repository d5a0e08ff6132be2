// A pack for tests of storage alone: its shards are a few bytes and no engine could load it, but it is imported,
// checked, replaced and removed as any other.

import { createHash } from "node:crypto";
import { PackServer, send } from "../../browser/lib/pack.js";

const { glassine } = new PackServer().manifest;

const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");

/** For `open`'s `pack`. */
export class SmallPack {
  /** The names of the shards that were asked for. */
  shardsAskedFor = [];
  #files;

  constructor() {
    this.publish(1);
  }

  /** Publishes a version: it has two shards of its own, and one in common with all others. */
  publish(version) {
    const contents = [`${version}, first`, `${version}, second`, "the same"];
    const shards = contents.map((text, index) => {
      const bytes = Buffer.from(text.repeat(100));
      return { file: `shard-0000${index + 1}.safetensors`, bytes, sha256: sha256(bytes) };
    });
    const entries = shards.map(({ file, bytes, sha256 }) => ({ file, bytes: bytes.length, sha256 }));
    this.#files = new Map(shards.map(({ file, bytes }) => [file, bytes]));
    this.#files.set("manifest.json", Buffer.from(JSON.stringify({ glassine, name: "small", version, shards: entries })));
  }

  answer(name, request, response) {
    if (name !== "manifest.json") this.shardsAskedFor.push(name);
    send(response, this.#files.get(name), request.headers.range);
  }
}
