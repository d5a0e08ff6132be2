import { GlassineError } from "../../public/errors.js";
import { toImageData } from "./image-data.js";
import type { ModelSource, Progress, ShelfProgress, StorageProgress } from "../../public/types.js";
import type { Calls, EngineEvent, FromWorker, RawError, ToWorker } from "../shared/protocol.js";
import { abortError } from "../shared/abort-error.js";
import { fromRawError } from "../shared/from-raw-error.js";
import type { StartedWorker, StartWorker } from "./assets.js";
import { readFrom } from "./model-source.js";

/** The progress of whichever call. */
export type AnyProgress = Progress | StorageProgress | ShelfProgress;

/** What a call of each type takes beside its request. Which progress it makes is for its caller to know. */
export interface CallOptions {
  signal?: AbortSignal | undefined;
  onProgress?(progress: AnyProgress): void;
  /** Milliseconds that an aborted call gets to stop, before the worker is ended; without end if left out. */
  patience?: number | undefined;
}

interface Pending {
  resolve(answer: Calls[keyof Calls]["answer"]): void;
  reject(error: GlassineError): void;
  options: CallOptions;
  /** Stops what the page's own source reads for this call. */
  reading: AbortController;
  /** The latest failure of such a read, whose cause stays in the page. */
  unread?: GlassineError;
}

/** One worker, which makes one call at a time. */
export class WorkerClient {
  readonly #worker: Worker;
  readonly #source: ModelSource | undefined;
  readonly #closing = new AbortController();
  #pending: Pending | undefined;

  /** `source` is the page's own model, where the worker cannot read it by itself. */
  constructor(start: StartWorker, source?: ModelSource) {
    this.#source = source;
    const { worker, url } = startWorker(start);
    this.#worker = worker;
    this.#worker.onmessage = (event: MessageEvent<FromWorker>) => this.#receive(event.data);
    this.#worker.onerror = (event) => this.close(workerError(describe(event, url)));
    this.#worker.onmessageerror = () => this.close(workerError("a message from the worker could not be read"));
  }

  /** Whether this worker is gone, so that another has to be made. */
  get closed(): boolean {
    return this.#closing.signal.aborted;
  }

  /** Ends the worker. A call under way rejects with `error`. */
  close(error: GlassineError): void {
    if (this.closed) return;
    this.#closing.abort(error);
    this.#worker.terminate();
    this.#pending?.reading.abort(error);
    this.#pending?.reject(error);
  }

  /** Makes a call. Aborting `load` ends the worker; other calls leave it as it was, unless they lose patience. */
  async call<Type extends keyof Calls>(
    type: Type,
    request: Calls[Type]["request"],
    options: CallOptions,
  ): Promise<Calls[Type]["answer"]> {
    const { signal, patience } = options;
    const reading = new AbortController();
    let waiting: ReturnType<typeof setTimeout> | undefined;
    const end = (): void => this.close(abortError(signal?.reason));
    const abort = (): void => {
      reading.abort(signal?.reason);
      if (type === "load") return end();
      this.#post({ type: "abort" });
      if (patience !== undefined) waiting = setTimeout(end, patience);
    };
    signal?.addEventListener("abort", abort);
    try {
      if (signal?.aborted) throw abortError(signal.reason);
      return await new Promise((resolve, reject) => {
        if (this.closed) throw this.#closing.signal.reason;
        this.#pending = { resolve, reject, options, reading };
        this.#post({ type, ...request } as ToWorker);
      });
    } catch (error) {
      const failure = toGlassineError(error, signal);
      if (type === "load") this.close(failure);
      throw failure;
    } finally {
      this.#pending = undefined;
      clearTimeout(waiting);
      signal?.removeEventListener("abort", abort);
    }
  }

  #post(message: ToWorker, transfer: Transferable[] = []): void {
    this.#worker.postMessage(message, transfer);
  }

  #receive(message: FromWorker): void {
    switch (message.type) {
      case "read":
        void this.#read(message);
        break;
      case "progress":
        if (!this.#pending?.options.signal?.aborted) {
          this.#pending?.options.onProgress?.(toProgress(message.event));
        }
        break;
      case "done":
        this.#pending?.resolve(message.answer);
        break;
      case "failed":
        this.#pending?.reject(this.#fromWorker(message.error));
        break;
      case "dead":
        this.close(this.#fromWorker(message.error));
        break;
    }
  }

  /** Answers a read of the call that is under way. Once that is aborted, the worker waits for no answer. */
  async #read({ read, path, again }: Extract<FromWorker, { type: "read" }>): Promise<void> {
    const pending = this.#pending;
    if (!pending || pending.reading.signal.aborted) return;
    const { signal } = pending.reading;
    try {
      if (!this.#source) throw new Error("the page has no model of its own");
      const bytes = await readFrom(this.#source, path, { signal, again });
      if (!signal.aborted) this.#post({ type: "bytes", read, bytes }, [bytes.buffer]);
    } catch (error) {
      if (signal.aborted) return;
      pending.unread = toGlassineError(error);
      const { code, message, hint, recoverable } = pending.unread;
      this.#post({ type: "unread", read, error: { code, message, hint, recoverable } });
    }
  }

  /** The worker's error. If it is that of a read by the page's own source, it has the cause that the source gave. */
  #fromWorker(error: RawError): GlassineError {
    const unread = this.#pending?.unread;
    const same = unread?.code === error.code && unread.message === error.message;
    return fromRawError(error, same ? unread.cause : undefined);
  }
}

function startWorker(start: StartWorker): StartedWorker {
  if (typeof Worker === "undefined") throw workerError("there are no web workers here");
  try {
    return start();
  } catch (cause) {
    if (cause instanceof GlassineError) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw workerError(`the browser refused to start the worker: ${reason}`, cause);
  }
}

/** What the browser says of a worker that fails: of a script's own error its text and place, of one that is not there nothing. */
function describe({ message, filename, lineno }: ErrorEvent, url: string): string {
  if (!message) return `the worker could not be loaded from ${url}`;
  return `the worker stopped: ${message}${filename ? ` (${filename}:${lineno})` : ""}`;
}

/** What is reported when there is no worker. */
export function workerError(message: string, cause?: unknown): GlassineError {
  const hint =
    typeof Worker === "undefined"
      ? "The engine runs in a browser's page: on a server, the package can be imported, but no more."
      : 'Serve the package\'s files and say where they are, with configure({ assets }), and let a content security policy allow them: see "Bundlers" in the README.';
  return new GlassineError("worker_failed", message, { hint, cause });
}

function toGlassineError(error: unknown, signal?: AbortSignal | undefined): GlassineError {
  if (error instanceof GlassineError) {
    return error.code === "aborted" && signal?.aborted ? abortError(signal.reason) : error;
  }
  if (error instanceof DOMException && error.name === "DataCloneError") {
    return new GlassineError("bad_option", "an option holds something that is not plain data", { cause: error });
  }
  return new GlassineError("internal", String(error), { cause: error });
}

function toProgress(event: EngineEvent | StorageProgress | ShelfProgress): AnyProgress {
  if (event.phase !== "denoising") return event;
  const { preview, ...rest } = event;
  return preview ? { ...rest, preview: toImageData(preview) } : rest;
}
