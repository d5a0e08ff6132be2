// Runs in the package's worker, before it: its WebAssembly module meets what no code of its own can stop. `trap` in this
// script's URL is the number of the call to JavaScript in which it panics, and `pages` the number of pages by which its
// memory can grow. The page is told on the channel "wasm" how many calls there were, now and then; where it says "panic"
// there, the next call is the one.

const { searchParams } = new URL(import.meta.url);
const trap = Number(searchParams.get("trap"));
const pages = searchParams.get("pages");
const channel = new BroadcastChannel("wasm");
const { compile, instantiate } = WebAssembly;

let exports;
let calls = 0;
let told = false;
channel.onmessage = ({ data }) => (told ||= data === "panic");

function count() {
  calls += 1;
  if (calls % 10 === 0) channel.postMessage(calls);
  // No memory is of this size: what Rust makes of the request is its abort.
  if (calls === trap || told) exports.__wbindgen_malloc(-8, 8);
}

/** The module's imports, of which every call of a function is counted. */
const counted = (imports) =>
  Object.fromEntries(
    Object.entries(imports).map(([name, members]) => [
      name,
      Object.fromEntries(Object.entries(members).map(([name, member]) => [name, typeof member === "function" ? counting(member) : member])),
    ]),
  );

const counting = (member) =>
  function (...args) {
    if (exports) count();
    return member.apply(this, args);
  };

/** A module with a limit to its memory, which its fifth section describes. */
function limit(bytes) {
  if (pages === null) return bytes;
  const read = (at) => {
    let [value, shift] = [0, 0];
    for (;;) {
      const byte = bytes[at++];
      value += (byte & 127) * 2 ** shift;
      shift += 7;
      if (byte < 128) return [value, at];
    }
  };
  const write = (value) => (value < 128 ? [value] : [(value & 127) | 128, ...write(value >>> 7)]);
  for (let at = 8; at < bytes.length; ) {
    const [length, start] = read(at + 1);
    if (bytes[at] === 5) {
      const [least] = read(start + 2);
      const section = [1, 1, ...write(least), ...write(least + Number(pages))];
      return new Uint8Array([...bytes.subarray(0, at), 5, ...write(section.length), ...section, ...bytes.subarray(start + length)]);
    }
    at = start + length;
  }
  throw new Error("this module has no memory");
}

const bytesOf = async (response) => limit(new Uint8Array(await (await response).arrayBuffer()));

WebAssembly.compileStreaming = async (response) => compile.call(WebAssembly, await bytesOf(response));
WebAssembly.instantiateStreaming = async (response, imports) => {
  const module = await WebAssembly.compileStreaming(response);
  return { module, instance: await WebAssembly.instantiate(module, imports) };
};
WebAssembly.instantiate = async (module, imports) => {
  const instance = await instantiate.call(WebAssembly, module, counted(imports));
  ({ exports } = instance);
  return instance;
};
