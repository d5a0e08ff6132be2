// ONNX Runtime Web, on the same device.

/** Loads ONNX Runtime for "webgpu" or "cpu", where it has one thread. */
export async function openPeer(device) {
  const ort = await import(device === "cpu" ? "/ort/ort.wasm.min.mjs" : "/ort/ort.webgpu.min.mjs");
  ort.env.wasm.wasmPaths = "/ort/";
  ort.env.wasm.numThreads = 1;
  ort.env.logLevel = "warning";
  return new Peer(ort, device);
}

class Peer {
  constructor(ort, device) {
    Object.assign(this, { ort, device });
  }

  get version() {
    return this.ort.env.versions.web;
  }

  /** A session of the graph that ends in `output`. */
  async session(graph, output) {
    const { bytes, files } = graph.model(output);
    const onGpu = this.device === "webgpu";
    const session = await this.ort.InferenceSession.create(bytes, {
      executionProviders: [onGpu ? "webgpu" : "wasm"],
      externalData: files,
      graphOptimizationLevel: "all",
      ...(onGpu && { preferredOutputLocation: "gpu-buffer" }),
    });
    return new Session(this, session, graph.dtype);
  }
}

class Session {
  constructor(peer, session, dtype) {
    Object.assign(this, { peer, session, dtype });
  }

  /** An input, on the device: `{shape, data}`. */
  async feed({ shape, data }) {
    const { ort, device } = this.peer;
    if (data instanceof BigInt64Array) return new ort.Tensor("int64", data, shape);
    const type = this.dtype === "f16" ? "float16" : "float32";
    const values = this.dtype === "f16" ? new Float16Array(data) : data;
    if (device === "cpu") return new ort.Tensor(type, values, shape);
    const gpu = await ort.env.webgpu.device;
    const { STORAGE, COPY_SRC, COPY_DST } = GPUBufferUsage;
    const size = Math.ceil(values.byteLength / 16) * 16;
    const buffer = gpu.createBuffer({ size, usage: STORAGE | COPY_SRC | COPY_DST, mappedAtCreation: true });
    new Uint8Array(buffer.getMappedRange()).set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    buffer.unmap();
    return ort.Tensor.fromGpuBuffer(buffer, { dataType: type, dims: shape, dispose: () => buffer.destroy() });
  }

  /** Computes the output of inputs by name; it stays on the device. */
  async compute(feeds) {
    const outputs = await this.session.run(feeds);
    return Object.values(outputs)[0];
  }

  /** The values of an output, which is freed. */
  async read(output) {
    const data = await output.getData(true);
    return data instanceof Float32Array ? data : Float32Array.from(data);
  }

  /** Inputs by name, on the device. */
  async feeds(inputs) {
    const named = Object.entries(inputs).map(async ([name, tensor]) => [name, await this.feed(tensor)]);
    return Object.fromEntries(await Promise.all(named));
  }

  free(feeds) {
    Object.values(feeds).forEach((tensor) => tensor.dispose());
  }

  /** As the engine's `BenchRun`, for one or more sets of inputs, whose outputs follow each other. */
  async on(...sets) {
    const feeds = await Promise.all(sets.map((inputs) => this.feeds(inputs)));
    const compute = async () => {
      const outputs = [];
      for (const feed of feeds) outputs.push(await this.compute(feed));
      return outputs;
    };
    return {
      run: async (times) => {
        for (let time = 1; time < times; time++) (await compute()).forEach((output) => output.dispose());
        const outputs = await compute();
        const values = await Promise.all(outputs.map((output) => this.read(output)));
        return values.length === 1 ? values[0] : Float32Array.from(values.flatMap((part) => [...part]));
      },
    };
  }
}
