// Runs in the package's worker, before it: tells the page, on the channel "reads", how many bytes of
// answers have been read, each time when there are more.

let bytes = 0;
const channel = new BroadcastChannel("reads");
const { read } = ReadableStreamDefaultReader.prototype;
ReadableStreamDefaultReader.prototype.read = async function () {
  const piece = await read.call(this);
  if (piece.value) channel.postMessage((bytes += piece.value.length));
  return piece;
};
