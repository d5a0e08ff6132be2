// Writes ONNX models, as far as the benchmark needs them: a graph of operators over tensors of one
// floating-point type, whose larger constants are in files beside the model.

const FLOAT = 1;
const INT64 = 7;
const FLOAT16 = 10;

/** The version of ONNX's own operators, and that of ONNX Runtime's. */
const operatorSets = [
  ["", 17],
  ["com.microsoft", 1],
];

/** The version of the file format. */
const IR_VERSION = 8;
/** Constants of fewer bytes are in the model itself. */
const SMALL = 1024;
/** No file of constants is larger. */
const MAX_FILE_BYTES = 1 << 30;

/** A graph that is put together operator by operator. Its values are `{name, shape}`. */
export class Graph {
  #inputs = [];
  #nodes = [];
  #constants = [];
  #files = [];
  #names = 0;

  /** `dtype` is "f32" or "f16": the type of its inputs, outputs and constants. */
  constructor(dtype) {
    this.dtype = dtype;
  }

  /** An input of the graph; `type` is "int64" or the graph's own. */
  input(name, shape, type) {
    this.#inputs.push(message([1, name], [2, tensorType(shape, this.#elementType(type))]));
    return { name, shape };
  }

  /** A constant of the graph's type. */
  constant(values, shape) {
    const Values = this.dtype === "f16" ? Float16Array : Float32Array;
    const data = values instanceof Values ? values : new Values(values);
    return this.#constant(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), shape, this.#elementType());
  }

  /** A list of whole numbers, as shapes and axes are. */
  integers(values) {
    const data = BigInt64Array.from(values, BigInt);
    return this.#constant(new Uint8Array(data.buffer), [values.length], INT64);
  }

  /** Applies an operator; gives its one output, which has `shape`. */
  apply(operator, inputs, shape, attributes = {}) {
    return this.#node(operator, inputs, [shape], attributes)[0];
  }

  /** Cuts `x` into two halves along the last axis. */
  halves(x) {
    const half = [...x.shape.slice(0, -1), x.shape.at(-1) / 2];
    const sizes = this.integers([half.at(-1), half.at(-1)]);
    return this.#node("Split", [x, sizes], [half, half], { axis: -1 });
  }

  /** The finished model with one output: `{bytes, files}` as ONNX Runtime takes them. */
  model(output) {
    const graph = message(
      ...this.#nodes.map((node) => [1, node]),
      [2, "benchmark"],
      ...this.#constants.map((tensor) => [5, tensor]),
      ...this.#inputs.map((input) => [11, input]),
      [12, message([1, output.name], [2, tensorType(output.shape, this.#elementType())])],
    );
    const sets = operatorSets.map(([domain, version]) => [8, message([1, domain], [2, version])]);
    const bytes = message([1, IR_VERSION], [7, graph], ...sets);
    const files = this.#files.map(({ path, parts, length }) => ({ path, data: joined(parts, length) }));
    return { bytes, files };
  }

  #elementType(type = this.dtype) {
    return { f32: FLOAT, f16: FLOAT16, int64: INT64 }[type];
  }

  #name() {
    return `v${this.#names++}`;
  }

  #node(operator, inputs, shapes, attributes) {
    const [type, domain = ""] = operator.split(":").reverse();
    const outputs = shapes.map((shape) => ({ name: this.#name(), shape }));
    const node = message(
      ...inputs.map((input) => [1, input?.name ?? ""]),
      ...outputs.map((value) => [2, value.name]),
      [4, type],
      ...Object.entries(attributes).map(([name, value]) => [5, attribute(name, value)]),
      [7, domain],
    );
    this.#nodes.push(node);
    return outputs;
  }

  #constant(bytes, shape, type) {
    const name = this.#name();
    const fields = [...shape.map((size) => [1, size]), [2, type], [8, name]];
    if (bytes.length < SMALL) {
      fields.push([9, bytes]);
    } else {
      const place = this.#store(bytes);
      const entries = Object.entries(place).map(([key, value]) => [13, message([1, key], [2, String(value)])]);
      fields.push(...entries, [14, 1]);
    }
    this.#constants.push(message(...fields));
    return { name, shape };
  }

  #store(bytes) {
    let file = this.#files.at(-1);
    if (!file || file.length + bytes.length > MAX_FILE_BYTES) {
      file = { path: `constants-${this.#files.length}`, parts: [], length: 0 };
      this.#files.push(file);
    }
    const offset = file.length;
    file.parts.push(bytes);
    file.length += bytes.length;
    return { location: file.path, offset, length: bytes.length };
  }
}

function tensorType(shape, type) {
  const sizes = shape.map((size) => [1, message([1, size])]);
  return message([1, message([1, type], [2, message(...sizes)])]);
}

/** A whole number, a text, a list of whole numbers, or `{float}`. */
function attribute(name, value) {
  if (typeof value === "string") return message([1, name], [4, value], [20, 3]);
  if (Array.isArray(value)) return message([1, name], ...value.map((item) => [8, item]), [20, 7]);
  if (typeof value === "object") return message([1, name], [2, value], [20, 1]);
  return message([1, name], [3, value], [20, 2]);
}

/** A protocol buffer's message of fields `[number, value]`: whole numbers, texts, bytes or `{float}`. */
function message(...fields) {
  const parts = fields.flatMap(([number, value]) => field(number, value));
  return joined(
    parts,
    parts.reduce((length, part) => length + part.length, 0),
  );
}

function field(number, value) {
  if (typeof value === "number") return [varint(number << 3), varint(value)];
  if (value.float !== undefined) {
    return [varint((number << 3) | 5), new Uint8Array(new Float32Array([value.float]).buffer)];
  }
  const bytes = typeof value === "string" ? new TextEncoder().encode(value) : value;
  return [varint((number << 3) | 2), varint(bytes.length), bytes];
}

function varint(value) {
  const bytes = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  do {
    const more = rest > 127n;
    bytes.push(Number(rest & 127n) | (more ? 128 : 0));
    rest >>= 7n;
  } while (rest);
  return Uint8Array.from(bytes);
}

function joined(parts, length) {
  const bytes = new Uint8Array(length);
  let offset = 0;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return bytes;
}
