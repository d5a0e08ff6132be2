// Runs in the package's worker, before it: counts what the worker asks of the disk that needs room, and tells the page
// on the channel "disk" how much. `at` in this script's URL is the number of the one for which there is no room, and
// with `rest` all after it fail, too. With `short`, the disk takes half of what it is given to write at a time.

const { searchParams } = new URL(import.meta.url);
const at = Number(searchParams.get("at"));
const channel = new BroadcastChannel("disk");
let count = 0;

/** Fails, if it is its turn. */
function take() {
  channel.postMessage(++count);
  if (count === at || (at > 0 && count > at && searchParams.has("rest"))) {
    throw new DOMException("the disk is full", "QuotaExceededError");
  }
}

for (const name of ["write", "truncate", "flush"]) {
  const original = FileSystemSyncAccessHandle.prototype[name];
  FileSystemSyncAccessHandle.prototype[name] = function (...args) {
    take();
    if (name === "write" && searchParams.has("short")) args[0] = args[0].subarray(0, Math.ceil(args[0].length / 2));
    return original.apply(this, args);
  };
}

for (const name of ["getFileHandle", "getDirectoryHandle"]) {
  const original = FileSystemDirectoryHandle.prototype[name];
  FileSystemDirectoryHandle.prototype[name] = async function (entry, options) {
    if (options?.create) take();
    return original.call(this, entry, options);
  };
}
