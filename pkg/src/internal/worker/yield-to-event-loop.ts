const channel = new MessageChannel();

/** Lets the event loop turn once, so that messages get in between two pieces of computation. */
export function yieldToEventLoop(): Promise<unknown> {
  return new Promise((resolve) => {
    channel.port1.onmessage = resolve;
    channel.port2.postMessage(undefined);
  });
}
