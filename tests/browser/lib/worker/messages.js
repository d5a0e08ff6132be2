// Runs in the package's worker, before it: notes the types of the messages that it gets and posts, in
// their order.

const types = [];
self.addEventListener("message", ({ data }) => types.push(data.type));

const post = self.postMessage;
self.postMessage = (message, options) => {
  types.push(message.type);
  post.call(self, message, options);
};

self.messageTypes = () => types;
