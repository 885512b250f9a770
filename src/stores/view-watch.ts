/**
 * A watch that can't miss anything: it waits for any sign of a change, and then reads everything. What a store's own
 * stream of events loses (a broken connection, a compacted revision, a member that has fallen silent) costs a read.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { StoreView } from '../cluster/store-view.js';
import { StoreError, type StoreWatch } from './store.js';

/** Between two attempts to read a store that fails. ms; the second is the bound, reached by doubling. */
const RETRY_MS = [50, 1000] as const;

/** What a store brings. */
export interface WatchedStore {
  read(): Promise<StoreView>;
  /** Returns when something has changed since the revision, or may have; bounded by the signal. */
  changeAfter(revision: number, signal: AbortSignal): Promise<void>;
  readonly refreshMs: number;
}

/** The loop behind `Store.watch`. */
export class ViewWatch implements StoreWatch {
  readonly #store: WatchedStore;
  readonly #onView: (view: StoreView) => void;
  readonly #onTrouble: (error: StoreError) => void;
  readonly #closing = new AbortController();
  #lastRevision = 0;

  constructor(
    store: WatchedStore,
    onView: (view: StoreView) => void,
    onTrouble: (error: StoreError) => void,
  ) {
    this.#store = store;
    this.#onView = onView;
    this.#onTrouble = onTrouble;
    void this.#run();
  }

  close(): void {
    this.#closing.abort();
  }

  async #run(): Promise<void> {
    let retryMs: number = RETRY_MS[0];
    while (!this.#closing.signal.aborted) {
      try {
        const isNew = this.#show(await this.#store.read());
        // A sign without a change behind it may come at once, and again.
        if (!isNew) await this.#pause(RETRY_MS[0]);
        await this.#waitForChange();
        retryMs = RETRY_MS[0];
      } catch (error) {
        if (this.#closing.signal.aborted) return;
        this.#onTrouble(error instanceof StoreError ? error : new StoreError('protocol', `${error}`));
        await this.#pause(retryMs);
        retryMs = Math.min(retryMs * 2, RETRY_MS[1]);
      }
    }
  }

  /** Whether there was something to see that had not been seen. */
  #show(view: StoreView): boolean {
    if (this.#closing.signal.aborted) return false;
    if (view.revision < this.#lastRevision) {
      throw new StoreError(
        'protocol',
        `the store has gone back from revision ${this.#lastRevision} to ${view.revision}`,
      );
    }
    const isNew = view.revision > this.#lastRevision;
    this.#lastRevision = view.revision;
    this.#onView(view);
    return isNew;
  }

  async #pause(ms: number): Promise<void> {
    await pause(ms, undefined, { signal: this.#closing.signal }).catch(() => {});
  }

  async #waitForChange(): Promise<void> {
    const signal = AbortSignal.any([this.#closing.signal, AbortSignal.timeout(this.#store.refreshMs)]);
    await this.#store.changeAfter(this.#lastRevision, signal).catch((error) => {
      if (!signal.aborted) throw error;
    });
  }
}
