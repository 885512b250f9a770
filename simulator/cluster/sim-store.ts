/** The store: the embedded one's own state machine, behind a network that loses and delays. */
import type { StoreView } from '../../src/cluster/store-view.js';
import { EMPTY_STATE, EmbeddedState, type LastingState } from '../../src/stores/embedded/embedded-state.js';
import type { Agenda } from './agenda.js';
import { type Network, STORE } from './network.js';

/** How often the store looks for what has run out. ms. */
const EXPIRY_MS = 20;

/** One server, linearizable, with a clock of its own. */
export class SimStore {
  isUp = true;
  /** What a restart begins with: a defect may spoil it. */
  recover: (lasting: LastingState) => LastingState = (lasting) => lasting;
  readonly #agenda: Agenda;
  readonly #network: Network;
  readonly #clockRate: number;
  #state: EmbeddedState;
  #shown = 0;
  readonly #watchers = new Map<string, (view: StoreView) => void>();

  constructor(agenda: Agenda, network: Network, clockRate: number) {
    this.#agenda = agenda;
    this.#network = network;
    this.#clockRate = clockRate;
    this.#state = new EmbeddedState(EMPTY_STATE, 0);
    const expire = () => {
      if (this.isUp) this.#state.expire(this.#clock());
      this.#show();
      agenda.in(EXPIRY_MS, expire);
    };
    expire();
  }

  /** A request of a node. The answer may never come, the request neither; or late. */
  ask<Answer>(
    node: string,
    work: (state: EmbeddedState, now: number) => Answer,
    answer: (answer: Answer) => void,
  ): void {
    this.#network.send(node, STORE, () => {
      if (!this.isUp) return;
      this.#state.expire(this.#clock());
      const result = work(this.#state, this.#clock());
      this.#show();
      this.#network.send(STORE, node, () => answer(result));
    });
  }

  /** Calls after changes, as far as the network lets it. */
  watch(node: string, onView: (view: StoreView) => void): void {
    this.#watchers.set(node, onView);
  }

  restart(): void {
    this.isUp = true;
    this.#state = new EmbeddedState(this.recover(this.#state.lasting()), this.#clock());
  }

  /** As it is, for an operator who is everywhere. */
  get state(): EmbeddedState {
    return this.#state;
  }

  #clock(): number {
    return this.#agenda.now * this.#clockRate;
  }

  #show(): void {
    if (!this.isUp || this.#state.revision === this.#shown) return;
    this.#shown = this.#state.revision;
    const view = this.#state.view();
    for (const [node, onView] of this.#watchers) this.#network.send(STORE, node, () => onView(view));
  }
}
