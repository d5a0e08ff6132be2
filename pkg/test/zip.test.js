// Pictures beside the layers' in a scene's zip archive.

import assert from "node:assert/strict";
import { test } from "node:test";
import { crc32, deflateRawSync } from "node:zlib";
import { filesBeside, withFiles } from "../dist/internal/shared/zip.js";

const bytes = (text) => new Uint8Array(Buffer.from(text));
const text = (file) => file && Buffer.from(file).toString();

/** An archive as another program writes it, deflated, whose directory may lie about the files' lengths. */
function archive(files, { comment = "", length = (file) => file.length } = {}) {
  const [bodies, directory] = [[], []];
  let offset = 0;
  for (const [path, file] of Object.entries(files)) {
    const [name, packed] = [Buffer.from(path), deflateRawSync(file)];
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(8, 4);
    common.writeUInt32LE(crc32(file), 10);
    common.writeUInt32LE(packed.length, 14);
    common.writeUInt32LE(length(file), 18);
    common.writeUInt16LE(name.length, 22);
    const entry = Buffer.alloc(16);
    entry.writeUInt32LE(offset, 12);
    const body = Buffer.concat([Buffer.from("PK\x03\x04"), common, name, packed]);
    directory.push(Buffer.from("PK\x01\x02\x14\x00"), common, entry.subarray(2), name);
    bodies.push(body);
    offset += body.length;
  }
  const list = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.write("PK\x05\x06", "latin1");
  end.writeUInt16LE(Object.keys(files).length, 8);
  end.writeUInt16LE(Object.keys(files).length, 10);
  end.writeUInt32LE(list.length, 12);
  end.writeUInt32LE(offset, 16);
  end.writeUInt16LE(comment.length, 20);
  return new Uint8Array(Buffer.concat([...bodies, list, end, Buffer.from(comment)]));
}

const read = async (zip, paths, most = 1000) =>
  Object.fromEntries([...(await filesBeside(zip, paths, most))].map(([path, file]) => [path, text(file)]));

test("files that are put in are found again, with those that were there", async () => {
  const zip = archive({ "scene.json": bytes("{}"), "apple.png": bytes("apple") }, { comment: "PK\x05\x06 in a comment" });
  const more = withFiles(zip, new Map([["mask.png", bytes("mask")], ["größe/vorher.png", bytes("before")]]));
  assert.deepEqual(await read(more, ["mask.png", "apple.png", "größe/vorher.png", "missing.png"]), {
    "mask.png": "mask",
    "apple.png": "apple",
    "größe/vorher.png": "before",
  });
  assert.deepEqual(await read(withFiles(more, new Map([["last.png", bytes("last")]])), ["last.png", "mask.png"]), {
    "last.png": "last",
    "mask.png": "mask",
  });
  assert.equal(withFiles(zip, new Map()), zip);
});

test("paths are those of a scene file that was packed with its folder", async () => {
  const zip = archive({ "__MACOSX/scene.json": bytes("x"), "apple/scene.json": bytes("{}"), "apple/mask.png": bytes("mask") });
  assert.deepEqual(await read(zip, ["mask.png", "apple/mask.png"]), { "mask.png": "mask" });
});

test("what lies about its length, is damaged, too large or no archive, is left out", async () => {
  const files = { "scene.json": bytes("{}"), "mask.png": bytes("mask".repeat(100)) };
  assert.deepEqual(await read(archive(files, { length: () => 10 }), ["mask.png"]), {});
  assert.deepEqual(await read(archive(files, { length: () => 1e6 }), ["mask.png"], 1e7), {});
  assert.deepEqual(await read(archive(files), ["mask.png"], 300), {});
  assert.deepEqual(Object.keys(await read(archive(files), ["mask.png"])), ["mask.png"]);
  for (const file of [bytes("no archive"), new Uint8Array(0), archive(files).slice(0, -30)]) {
    assert.deepEqual(await read(file, ["mask.png"]), {});
  }
});
