/** Has `fail` hear of a trap in the middle of asynchronous Rust code, which settles no promise. */
export function listenForTraps(fail: (error: unknown) => void): void {
  self.addEventListener("error", (event) => {
    event.preventDefault();
    fail(event.error ?? event.message);
  });
  self.addEventListener("unhandledrejection", (event) => {
    if (event.reason instanceof WebAssembly.RuntimeError) fail(event.reason);
  });
}
