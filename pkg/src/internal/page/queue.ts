import type { GlassineError } from "../../public/errors.js";
import { abortError } from "../shared/abort-error.js";

interface Job {
  run(): void;
  reject(error: GlassineError): void;
}

/** Runs one job at a time, in the order in which they came. */
export class Queue {
  readonly #waiting: Job[] = [];
  #running: Job | undefined;

  /**
   * Adds a job. When its signal fires, its promise rejects at once; a job that
   * is waiting is then forgotten, and one that is running keeps its place until
   * it has stopped.
   */
  add<T>(start: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    return new Promise((resolve, reject) => {
      const settle = (): void => signal?.removeEventListener("abort", abort);
      const job: Job = {
        run: () => {
          this.#running = job;
          start()
            .then(resolve, reject)
            .finally(() => {
              settle();
              this.#running = undefined;
              this.#next();
            });
        },
        reject: (error) => {
          settle();
          reject(error);
        },
      };
      const abort = (): void => {
        const place = this.#waiting.indexOf(job);
        if (place >= 0) this.#waiting.splice(place, 1);
        job.reject(abortError(signal?.reason));
      };

      if (signal?.aborted) return abort();
      signal?.addEventListener("abort", abort);
      this.#waiting.push(job);
      this.#next();
    });
  }

  /** Rejects every job, and forgets those that have not begun. */
  clear(error: GlassineError): void {
    this.#running?.reject(error);
    for (const job of this.#waiting.splice(0)) job.reject(error);
  }

  #next(): void {
    if (!this.#running) this.#waiting.shift()?.run();
  }
}
