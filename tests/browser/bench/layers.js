// The layers of Stable Diffusion's networks as ONNX operators: those that PyTorch's exporter writes, but
// ONNX Runtime's own operator for attention, which is several times faster.

/** Layers that take their weights by name from `tensors`, a map of names to `{shape, data}`. */
export class Layers {
  /** `fused` says whether attention is ONNX Runtime's own operator. */
  constructor(graph, tensors, fused, prefix = "") {
    Object.assign(this, { graph, tensors, fused, prefix });
  }

  /** The place `name` below this one. */
  at(name) {
    return new Layers(this.graph, this.tensors, this.fused, `${this.prefix}${name}.`);
  }

  has(name) {
    return this.tensors.has(this.prefix + name);
  }

  shape(name) {
    return this.tensors.get(this.prefix + name).shape;
  }

  /** How many of `name.0`, `name.1`, ... there are. */
  count(name) {
    const names = [...this.tensors.keys()];
    let count = 0;
    while (names.some((other) => other.startsWith(`${this.prefix}${name}.${count}.`))) count++;
    return count;
  }

  constant(name) {
    const tensor = this.tensors.get(this.prefix + name);
    if (!tensor) throw new Error(`there is no tensor ${this.prefix}${name}`);
    return this.graph.constant(tensor.data, tensor.shape);
  }

  conv(x, { stride = 1, pads } = {}) {
    const [out, , kernel] = this.shape("weight");
    const [batch, , height, width] = x.shape;
    const [before, after] = pads ?? [kernel >> 1, kernel >> 1];
    const size = (length) => Math.floor((before + length + after - kernel) / stride) + 1;
    return this.graph.apply(
      "Conv",
      [x, this.constant("weight"), this.constant("bias")],
      [batch, out, size(height), size(width)],
      { kernel_shape: [kernel, kernel], strides: [stride, stride], pads: [before, before, after, after] },
    );
  }

  linear(x) {
    const weight = this.tensors.get(`${this.prefix}weight`);
    const [out, inputs] = weight.shape;
    const turned = this.graph.constant(transposed(weight.data, out, inputs), [inputs, out]);
    const product = this.graph.apply("MatMul", [x, turned], [...x.shape.slice(0, -1), out]);
    return this.has("bias") ? this.add(product, this.constant("bias")) : product;
  }

  groupNorm(x, groups, epsilon) {
    const [batch, channels, height, width] = x.shape;
    const g = this.graph;
    const grouped = this.reshape(x, [batch, groups, (channels / groups) * height * width]);
    const [one, zero] = [1, 0].map((value) => g.constant(new Float32Array(groups).fill(value), [groups]));
    const normal = g.apply("InstanceNormalization", [grouped, one, zero], grouped.shape, {
      epsilon: { float: epsilon },
    });
    const each = (name) => g.constant(this.tensors.get(this.prefix + name).data, [1, channels, 1, 1]);
    const scaled = g.apply("Mul", [this.reshape(normal, x.shape), each("weight")], x.shape);
    return this.add(scaled, each("bias"));
  }

  /** The rows of a table by their numbers. */
  lookUp(ids) {
    const table = this.constant("weight");
    return this.graph.apply("Gather", [table, ids], [...ids.shape, table.shape[1]]);
  }

  layerNorm(x, epsilon = 1e-5) {
    return this.graph.apply("LayerNormalization", [x, this.constant("weight"), this.constant("bias")], x.shape, {
      axis: -1,
      epsilon: { float: epsilon },
    });
  }

  /** Attention of queries, keys and values `[batch, tokens, channels]`. */
  attention(query, key, value, heads, { causal = false } = {}) {
    if (this.fused && !causal) {
      return this.graph.apply("com.microsoft:MultiHeadAttention", [query, key, value], query.shape, {
        num_heads: heads,
      });
    }
    const [batch, tokens, channels] = query.shape;
    const width = channels / heads;
    const split = (x, order) => this.transpose(this.reshape(x, [batch, x.shape[1], heads, width]), order);
    const scale = this.graph.constant([width ** -0.5], []);
    const scaled = this.graph.apply("Mul", [split(query, [0, 2, 1, 3]), scale], [batch, heads, tokens, width]);
    let scores = this.matmul(scaled, split(key, [0, 2, 3, 1]));
    if (causal) scores = this.add(scores, this.graph.constant(causalMask(tokens), [tokens, tokens]));
    const shares = this.graph.apply("Softmax", [scores], scores.shape, { axis: -1 });
    const mixed = this.matmul(shares, split(value, [0, 2, 1, 3]));
    return this.reshape(this.transpose(mixed, [0, 2, 1, 3]), [batch, tokens, channels]);
  }

  silu(x) {
    return this.graph.apply("Mul", [x, this.graph.apply("Sigmoid", [x], x.shape)], x.shape);
  }

  quickGelu(x) {
    const slope = this.graph.constant([1.702], []);
    const steep = this.graph.apply("Mul", [x, slope], x.shape);
    return this.graph.apply("Mul", [x, this.graph.apply("Sigmoid", [steep], x.shape)], x.shape);
  }

  gelu(x) {
    return this.graph.apply("com.microsoft:Gelu", [x], x.shape);
  }

  add(a, b) {
    return this.graph.apply("Add", [a, b], a.shape);
  }

  matmul(a, b) {
    return this.graph.apply("MatMul", [a, b], [...a.shape.slice(0, -1), b.shape.at(-1)]);
  }

  concatChannels(a, b) {
    const [batch, channels, height, width] = a.shape;
    return this.graph.apply("Concat", [a, b], [batch, channels + b.shape[1], height, width], { axis: 1 });
  }

  reshape(x, shape) {
    return this.graph.apply("Reshape", [x, this.graph.integers(shape)], shape);
  }

  transpose(x, order) {
    const shape = order.map((axis) => x.shape[axis]);
    return this.graph.apply("Transpose", [x], shape, { perm: order });
  }

  /** Doubles height and width. */
  upsample(x) {
    const [batch, channels, height, width] = x.shape;
    const sizes = [batch, channels, height * 2, width * 2];
    return this.graph.apply("Resize", [x, null, null, this.graph.integers(sizes)], sizes, {
      mode: "nearest",
      coordinate_transformation_mode: "asymmetric",
      nearest_mode: "floor",
    });
  }
}

/** A matrix of so many rows and columns, turned. */
function transposed(values, rows, columns) {
  const out = new Float32Array(values.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) out[column * rows + row] = values[row * columns + column];
  }
  return out;
}

/** What keeps each token from seeing those after it. */
function causalMask(tokens) {
  return Float32Array.from({ length: tokens * tokens }, (_, index) => (index % tokens > index / tokens ? -1e4 : 0));
}
