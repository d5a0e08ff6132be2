// Runs in the package's worker, before it: to the manifest of a model that calls itself "unstorable", the
// disk is full.

const { write } = FileSystemSyncAccessHandle.prototype;
FileSystemSyncAccessHandle.prototype.write = function (bytes, options) {
  const beginning = new TextDecoder().decode(bytes.subarray(0, 100));
  if (beginning.includes('"name":"unstorable"')) throw new DOMException("the disk is full", "QuotaExceededError");
  return write.call(this, bytes, options);
};
