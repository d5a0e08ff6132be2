// Checkpoints as torch.save writes them: an archive of a pickle and of the tensors' bytes.

import { crc32 } from "node:zlib";

/** The bytes of a checkpoint of such tensors as PyTorch Lightning saves it, among notes on the training. */
export function writeCheckpoint(tensors) {
  const entries = [...tensors].map(([name, tensor], index) => [text(name), tensorOf(tensor, index)]);
  const whole = dict([
    [text("global_step"), int(470_000)],
    [text("state_dict"), dict(entries)],
  ]);
  const files = [...tensors.values()].map(({ bytes }, index) => [`archive/data/${index}`, bytes]);
  const pickle = Buffer.concat([Buffer.from("\x80\x02", "latin1"), whole, Buffer.from(".")]);
  return archive([["archive/data.pkl", pickle], ["archive/byteorder", Buffer.from("little")], ...files]);
}

const storages = { F16: ["HalfStorage", 2], F32: ["FloatStorage", 4], I32: ["IntStorage", 4], I64: ["LongStorage", 8] };

/** The instructions for a tensor whose bytes are the storage of that number. */
function tensorOf({ dtype, shape, bytes }, index) {
  const [kind, size] = storages[dtype];
  const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((product, side) => product * side, 1));
  const storage = [text("storage"), global("torch", kind), text(String(index)), text("cpu"), int(bytes.length / size)];
  const hooks = call(global("collections", "OrderedDict"), []);
  const fields = [Buffer.concat([tuple(storage), Buffer.from("Q")]), int(0), tuple(shape.map(int)), tuple(strides.map(int))];
  return call(global("torch._utils", "_rebuild_tensor_v2"), [...fields, Buffer.from("\x89", "latin1"), hooks]);
}

// Instructions for Python's unpickler that leave one value.

const global = (module, name) => Buffer.from(`c${module}\n${name}\n`);
const tuple = (items) => Buffer.concat([Buffer.from("("), ...items, Buffer.from("t")]);
const dict = (entries) => Buffer.concat([Buffer.from("}("), ...entries.flat(), Buffer.from("u")]);
const call = (callee, items) => Buffer.concat([callee, tuple(items), Buffer.from("R")]);

function text(value) {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.from("X"), number(4, bytes.length), bytes]);
}

const int = (value) => Buffer.concat([Buffer.from("J"), number(4, value)]);

/** A number in so many bytes, lowest first. */
function number(size, value) {
  const bytes = Buffer.alloc(size);
  bytes.writeUIntLE(value, 0, size);
  return bytes;
}

/** A zip archive of files that are stored as they are. */
function archive(files) {
  const [parts, directory] = [[], []];
  let offset = 0;
  for (const [name, bytes] of files) {
    // Version 2.0, no flags, stored, no time; checksum, both lengths, and those of name and extra field.
    const about = [2, 20], stored = [6, 0], date = [2, 33];
    const lengths = [[4, crc32(bytes)], [4, bytes.length], [4, bytes.length], [2, name.length], [2, 0]];
    const fields = [about, stored, date, ...lengths].map(([size, value]) => number(size, value));
    const header = Buffer.concat([Buffer.from("PK\x03\x04", "latin1"), ...fields, Buffer.from(name)]);
    // No comment, on the first disk, without attributes; where the file begins.
    const more = [number(6, 0), number(4, 0), number(4, offset)];
    directory.push(Buffer.from("PK\x01\x02", "latin1"), number(2, 20), ...fields, ...more, Buffer.from(name));
    parts.push(header, bytes);
    offset += header.length + bytes.length;
  }
  const size = Buffer.concat(directory).length;
  const end = [[4, 0], [2, files.length], [2, files.length], [4, size], [4, offset], [2, 0]];
  const last = end.map(([bytes, value]) => number(bytes, value));
  return Buffer.concat([...parts, ...directory, Buffer.from("PK\x05\x06", "latin1"), ...last]);
}
