/** Asks who has made connections, on a thread of its own: the answers take the kernel a while, and proxies must not stand still. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { Connection } from './residents.js';

export class Callers {
  readonly #worker: Worker;

  /** @param run as that of the `Residents` */
  constructor(run: string) {
    const workerData = { run, starter: process.pid };
    this.#worker = new Worker(new URL('callers-main.js', import.meta.url), { workerData });
    this.#worker.unref();
  }

  /** The places, in the same order; null: it is closed already, or nobody's of ours. One question at a time. */
  async ask(connections: readonly Connection[]): Promise<(string | null)[]> {
    this.#worker.postMessage(connections);
    const [places] = await once(this.#worker, 'message');
    return places as (string | null)[];
  }

  /** Who waits is never answered. */
  async close(): Promise<void> {
    await this.#worker.terminate();
  }
}
