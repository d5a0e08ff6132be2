// Zip archives of scenes, as far as pictures are put beside the layers' and found there again. The rest of them is the
// module's, which neither writes nor reads what no layer shows.

const [fileHeader, entryHeader, endHeader] = [0x04034b50, 0x02014b50, 0x06054b50];
const endLength = 22;
/** What of an entry's header comes before its name, in its own place and in the directory. */
const [fileFields, entryFields] = [30, 46];
const version = 20;
/** Names are UTF-8. */
const utf8 = 0x800;
const mostRatio = 1032;
/** 1 January 1980, the first day that there is. */
const firstDay = 0x21;

interface Entry {
  readonly method: number;
  readonly packed: number;
  readonly length: number;
  readonly start: number;
}

/** An archive with more files at its end, uncompressed. */
export function withFiles(zip: Uint8Array<ArrayBuffer>, files: ReadonlyMap<string, Uint8Array>): Uint8Array<ArrayBuffer> {
  if (files.size === 0) return zip;
  const { count, size, start } = endOf(zip);
  const bodies: Uint8Array[] = [zip.subarray(0, start)];
  const directory: Uint8Array[] = [zip.subarray(start, start + size)];
  let offset = start;
  for (const [path, bytes] of files) {
    const name = new TextEncoder().encode(path);
    const fields = [version, utf8, 0, 0, firstDay] as const;
    const sizes = [crc32(bytes), bytes.length, bytes.length] as const;
    const header = record(fileFields, (put) => put.long(fileHeader).shorts(...fields).longs(...sizes).shorts(name.length, 0));
    const entry = record(entryFields, (put) =>
      put.long(entryHeader).shorts(version, ...fields).longs(...sizes).shorts(name.length, 0, 0, 0, 0).longs(0, offset),
    );
    bodies.push(header, name, bytes);
    directory.push(entry, name);
    offset += header.length + name.length + bytes.length;
  }
  const length = directory.reduce((sum, part) => sum + part.length, 0);
  const all = count + files.size;
  const end = record(endLength, (put) => put.long(endHeader).shorts(0, 0, all, all).longs(length, offset).shorts(0));
  return joined([...bodies, ...directory, end]);
}

/** The scene file of an archive. It may lie in a folder that was packed with it. */
const sceneFile = /^(?!__MACOSX\/)(?:[^/]+\/)?scene\.json$/;

/** Those of the files at these paths, as the scene file of an archive names them, that are in it and together no larger than `most` bytes. */
export async function filesBeside(zip: Uint8Array<ArrayBuffer>, paths: Iterable<string>, most: number): Promise<Map<string, Uint8Array<ArrayBuffer>>> {
  const entries = entriesOf(zip);
  const scene = entries.has("scene.json") ? "scene.json" : [...entries.keys()].sort().find((path) => sceneFile.test(path));
  const folder = scene?.slice(0, -"scene.json".length) ?? "";
  const found = new Map<string, Uint8Array<ArrayBuffer>>();
  let room = most;
  for (const path of new Set(paths)) {
    const entry = entries.get(folder + path);
    if (!entry || entry.length > room) continue;
    const bytes = await unpack(zip, entry);
    if (!bytes) continue;
    room -= bytes.length;
    found.set(path, bytes);
  }
  return found;
}

/** An archive that ends with its directory, as those do that the module has opened or written. */
function endOf(zip: Uint8Array<ArrayBuffer>): { count: number; size: number; start: number } {
  const view = new DataView(zip.buffer, zip.byteOffset, zip.byteLength);
  for (let at = zip.length - endLength; at >= Math.max(0, zip.length - endLength - 0xffff); at--) {
    if (view.getUint32(at, true) !== endHeader) continue;
    return { count: view.getUint16(at + 10, true), size: view.getUint32(at + 12, true), start: view.getUint32(at + 16, true) };
  }
  return { count: 0, size: 0, start: zip.length };
}

function entriesOf(zip: Uint8Array<ArrayBuffer>): Map<string, Entry> {
  const view = new DataView(zip.buffer, zip.byteOffset, zip.byteLength);
  const entries = new Map<string, Entry>();
  const { count, start } = endOf(zip);
  let at = start;
  for (let index = 0; index < count && at + entryFields <= zip.length && view.getUint32(at, true) === entryHeader; index++) {
    const [method, packed, length] = [view.getUint16(at + 10, true), view.getUint32(at + 20, true), view.getUint32(at + 24, true)];
    const nameEnd = at + entryFields + view.getUint16(at + 28, true);
    const path = new TextDecoder().decode(zip.subarray(at + entryFields, nameEnd));
    const file = view.getUint32(at + 42, true);
    if (file + fileFields <= zip.length) {
      // Its own header may have other extra fields than the directory.
      const start = file + fileFields + view.getUint16(file + 26, true) + view.getUint16(file + 28, true);
      entries.set(path, { method, packed, length, start });
    }
    at = nameEnd + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
  }
  return entries;
}

/** The bytes of a file; undefined if it is damaged, or compressed in another way than zip archives mostly are. */
async function unpack(zip: Uint8Array<ArrayBuffer>, { method, packed, length, start }: Entry): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const bytes = zip.slice(start, start + packed);
  if (method === 0) return bytes.length === length ? bytes : undefined;
  // No byte can stand for more of what was compressed.
  if (method !== 8 || length > mostRatio * packed) return undefined;
  const reader = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw")).getReader();
  const unpacked = new Uint8Array(length);
  let filled = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return filled === length ? unpacked : undefined;
      // It is larger than it says.
      if (filled + value.length > length) return undefined;
      unpacked.set(value, filled);
      filled += value.length;
    }
  } catch {
    return undefined;
  } finally {
    reader.cancel().catch(() => {});
  }
}

interface Put {
  long(value: number): Put;
  longs(...values: number[]): Put;
  shorts(...values: number[]): Put;
}

/** Numbers, the lowest byte first. */
function record(length: number, write: (put: Put) => Put): Uint8Array {
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  let at = 0;
  const put: Put = {
    long(value) {
      view.setUint32(at, value, true);
      at += 4;
      return put;
    },
    longs(...values) {
      for (const value of values) put.long(value);
      return put;
    },
    shorts(...values) {
      for (const value of values) {
        view.setUint16(at, value, true);
        at += 2;
      }
      return put;
    },
  };
  write(put);
  return bytes;
}

function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

const remainders = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = remainders[(crc ^ byte) & 0xff]! ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}
