/** The store, as the machine's decisions are carried out on it: each request is answered once, however it ends. */
import type { Answer, Effect } from '../cluster/inputs.js';
import { EPOCH } from '../cluster/records.js';
import type { StoreView } from '../cluster/store-view.js';
import { patientLimit } from '../stores/patient-limit.js';
import type { Store, StoreError, StoreWatch } from '../stores/store.js';

/** What the machine may ask of the store. */
export type StoreEffect = Extract<Effect, { do: 'acquire' | 'renew' | 'release' | 'publish' | 'register' }>;

/** Whom the store's side speaks to. */
export interface StoreWorld {
  readonly node: string;
  readonly holder: string;
  /** After so long a request is answered with `failed`, whatever still comes of it. ms. */
  readonly answerMs: number;
  /** The same for a renewal, which is worth waiting for. ms. */
  readonly renewMs: number;
  /** What this node says of itself, as it is registered. */
  registration(effect: Extract<StoreEffect, { do: 'register' }>): string;
  answer(id: number, answer: Answer): void;
  view(view: StoreView): void;
  /** The store could not be read; null: it could again. */
  trouble(error: StoreError | null): void;
}

/** The driver of {@link StoreEffect}s. */
export class StoreSide {
  readonly #store: Store;
  readonly #world: StoreWorld;
  readonly #watch: StoreWatch;
  #isTroubled = false;
  /** Registrations go one after the other, so that an old one can't overtake; only the newest waits. */
  #registering = false;
  #waiting: string | null = null;
  #isClosed = false;

  constructor(store: Store, world: StoreWorld) {
    this.#store = store;
    this.#world = world;
    this.#watch = store.watch(
      (view) => {
        this.#note(null);
        world.view(view);
      },
      (error) => this.#note(error),
    );
  }

  carryOut(effect: StoreEffect): void {
    switch (effect.do) {
      case 'acquire': {
        const asked = this.#store.acquire(this.#world.holder, effect.afterTerm);
        return this.#answer(effect.id, asked, (holding) => ({ kind: 'lease', holding }));
      }
      case 'renew':
        return this.#answer(
          effect.id,
          this.#store.renew(effect.holding),
          (holding) => ({ kind: 'lease', holding }),
          this.#world.renewMs,
        );
      case 'publish': {
        const { epoch, version, leader } = effect;
        const asked = this.#store.publish(EPOCH, JSON.stringify(epoch), { version, leader });
        return this.#answer(effect.id, asked, (given) => ({ kind: 'published', version: given }));
      }
      case 'release':
        // Should it fail, the lease that a view still shows is given back by the machine.
        this.#store.release(effect.leader).catch((error: StoreError) => this.#note(error));
        return;
      case 'register':
        this.#waiting = this.#world.registration(effect);
        void this.#register();
    }
  }

  /** Nothing is told any more. The store itself stays open. */
  close(): void {
    this.#isClosed = true;
    this.#watch.close();
  }

  #answer<Result>(
    id: number,
    asked: Promise<Result>,
    toAnswer: (result: Result) => Answer,
    limitMs = this.#world.answerMs,
  ): void {
    let isAnswered = false;
    const answer = (value: Answer) => {
      if (isAnswered || this.#isClosed) return;
      isAnswered = true;
      forgetLimit();
      this.#world.answer(id, value);
    };
    const forgetLimit = patientLimit(limitMs, () => answer({ kind: 'failed' }));
    asked.then(
      (result) => answer(toAnswer(result)),
      (error: StoreError) => {
        this.#note(error);
        answer({ kind: 'failed' });
      },
    );
  }

  async #register(): Promise<void> {
    if (this.#registering) return;
    this.#registering = true;
    while (this.#waiting !== null && !this.#isClosed) {
      const text = this.#waiting;
      this.#waiting = null;
      await this.#store.register(this.#world.node, text).catch((error: StoreError) => this.#note(error));
    }
    this.#registering = false;
  }

  #note(error: StoreError | null): void {
    if (this.#isClosed || (error === null && !this.#isTroubled)) return;
    this.#isTroubled = error !== null;
    this.#world.trouble(error);
  }
}
