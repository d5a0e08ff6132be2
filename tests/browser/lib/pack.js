// A server for one pack, the built-in model, that can be told to misbehave and
// remembers what it was asked for.

import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseSafetensors, writeSafetensors } from "./safetensors.js";
import { packageFolder } from "./site.js";

const model = join(packageFolder, "models/mini");
/** What the built-in model says of itself. */
export const mini = JSON.parse(readFileSync(join(model, "manifest.json"), "utf8"));

export class PackServer {
  /** What was asked for: `{ name, range }`. */
  requests = [];
  /** For a file's name, or "*" for all, what answers in the place of `send`. */
  faults = new Map();
  #files = new Map(
    readdirSync(model)
      .filter((name) => /\.(json|safetensors)$/.test(name))
      .map((name) => [name, readFileSync(join(model, name))]),
  );

  get manifest() {
    return JSON.parse(this.#files.get("manifest.json"));
  }

  /** The length of all shards. */
  get bytes() {
    return this.manifest.shards.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** The names of the shards that were asked for, each once. */
  get shardsAskedFor() {
    return [...new Set(this.requests.map(({ name }) => name))].filter((name) => name !== "manifest.json").sort();
  }

  /** Publishes another version of a shard, as whole as the first. */
  changeShard(name) {
    const bytes = Buffer.from(this.#files.get(name));
    bytes[bytes.length - 1] ^= 1;
    this.#publish(name, bytes, this.manifest);
  }

  /** Publishes the first shard once more under other names, as models with many equal values have some. */
  repeatShard(count) {
    const manifest = this.manifest;
    for (let copy = 1; copy <= count; copy++) {
      const file = `copy-${copy}.safetensors`;
      this.#files.set(file, this.#files.get(manifest.shards[0].file));
      manifest.shards.push({ ...manifest.shards[0], file });
    }
    this.#files.set("manifest.json", Buffer.from(JSON.stringify(manifest)));
  }

  /** Publishes the model under another name of its own. */
  rename(name) {
    this.#files.set("manifest.json", Buffer.from(JSON.stringify({ ...this.manifest, name })));
  }

  /** Publishes the model as one that was taught these phrases, or says nothing of it. */
  teach(words) {
    this.#files.set("manifest.json", Buffer.from(JSON.stringify({ ...this.manifest, words })));
  }

  /**
   * Publishes a model whose files are sound and do not fit together: in the middle of decoding a
   * transparent picture, the engine's library panics. Everything else works.
   */
  breakTransparency() {
    const manifest = this.manifest;
    const name = "transparency_decoder.latent_conv_in.weight";
    const entry = manifest.tensors[name];
    const { file } = manifest.shards[entry.shards[0]];
    const tensors = parseSafetensors(this.#files.get(file));
    // As many values, for latents of twice as many channels.
    const [outputs, height, width, channels] = entry.shape;
    entry.shape = tensors.get(name).shape = [outputs / 2, height, width, channels * 2];
    this.#publish(file, writeSafetensors(tensors), manifest);
  }

  #publish(name, bytes, manifest) {
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    Object.assign(manifest.shards.find(({ file }) => file === name), { bytes: bytes.length, sha256 });
    this.#files.set(name, bytes);
    this.#files.set("manifest.json", Buffer.from(JSON.stringify(manifest)));
  }

  async answer(name, request, response) {
    const { range } = request.headers;
    this.requests.push({ name, range });
    const bytes = this.#files.get(name);
    const fault = this.faults.get(name) ?? this.faults.get("*") ?? send;
    await fault(response, bytes, range);
  }
}

/** Sends a file, or the rest of one from the byte that was asked for. */
export function send(response, bytes, range) {
  const start = range ? Number(/^bytes=(\d+)-$/.exec(range)[1]) : 0;
  response.writeHead(range ? 206 : 200, {
    "content-type": "application/octet-stream",
    "content-length": bytes.length - start,
    ...(range && { "content-range": `bytes ${start}-${bytes.length - 1}/${bytes.length}` }),
  });
  response.end(bytes.subarray(start));
}

/** Sends everything as a web page, as hotels' networks and many start pages do. */
export function sendPage(response) {
  response.writeHead(200, { "content-type": "text/html; charset=utf-8" });
  response.end("<!doctype html><title>Welcome</title>");
}

/** Sends half of a file, then breaks the connection. A browser may drop what it has not read by then. */
export const breakOff = (response, bytes) => stall(() => response.destroy())(response, bytes);

/** Sends half of a file and then nothing more. `reached` is called when the half is out. */
export const stall = (reached) => (response, bytes) => {
  response.writeHead(200, { "content-type": "application/octet-stream", "content-length": bytes.length });
  response.write(bytes.subarray(0, bytes.length / 2), reached);
};

/** Breaks every connection at once: the server is down. */
export const hangUp = (response) => response.destroy();
