import type { GlassineError } from "../../public/errors.js";
import { abortError } from "../shared/abort-error.js";
import { fromRawError } from "../shared/from-raw-error.js";
import type { FromWorker, ReadAnswer } from "../shared/protocol.js";
import type { ReadOptions } from "./sources.js";

interface OpenRead {
  resolve(bytes: Uint8Array<ArrayBuffer>): void;
  reject(error: GlassineError): void;
}

/** Reads of files of a model that the page reads by itself. */
export class PageReads {
  readonly #post: (message: FromWorker) => void;
  readonly #open = new Map<number, OpenRead>();
  #count = 0;

  constructor(post: (message: FromWorker) => void) {
    this.#post = post;
  }

  /** Asks the page for a file. Rejects as soon as the signal fires, since a page's source may never answer. */
  async read(path: string, { signal, again }: ReadOptions): Promise<Uint8Array<ArrayBuffer>> {
    if (signal.aborted) throw abortError(signal.reason);
    const read = ++this.#count;
    let abort = (): void => {};
    try {
      return await new Promise((resolve, reject) => {
        this.#open.set(read, { resolve, reject });
        abort = () => reject(abortError(signal.reason));
        signal.addEventListener("abort", abort);
        this.#post({ type: "read", read, path, again });
      });
    } finally {
      signal.removeEventListener("abort", abort);
      this.#open.delete(read);
    }
  }

  /** Takes the page's answer. One that comes after an abort is left alone. */
  answer(message: ReadAnswer): void {
    const open = this.#open.get(message.read);
    if (message.type === "bytes") open?.resolve(message.bytes);
    else open?.reject(fromRawError(message.error));
  }
}
