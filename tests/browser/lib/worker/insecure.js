// Runs in the package's worker, before it: it has no more of cryptography than a page that is not secure.

Object.defineProperty(Crypto.prototype, "subtle", { value: undefined });
