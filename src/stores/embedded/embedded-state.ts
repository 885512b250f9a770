/**
 * What the embedded store's server knows, and how requests change it. No I/O: the clock is handed in, and whoever calls
 * makes `lasting()` durable before it answers a request that has changed it.
 */
import type { Leader, StoredValue, StoreView } from '../../cluster/store-view.js';

/** What must survive a restart. Registrations need not: members repeat them. */
export interface LastingState {
  readonly revision: number;
  readonly term: number;
  /** With the length of its lease, in ms: a restart gives it the whole of it once more, which is only longer. */
  readonly leader: (Leader & { readonly leaseMs: number }) | null;
  readonly values: Readonly<Record<string, StoredValue>>;
}

/** A store in which nothing has ever been. */
export const EMPTY_STATE: LastingState = { revision: 0, term: 0, leader: null, values: {} };

interface Member {
  readonly text: string;
  readonly until: number;
}

/** The state machine of one cluster's store. Times are those of its own monotonic clock, in ms. */
export class EmbeddedState {
  #lasting: LastingState;
  #leaderUntil: number;
  readonly #members = new Map<string, Member>();

  /** @param now the clock, at the start: a lease found in `lasting` begins anew */
  constructor(lasting: LastingState, now: number) {
    // Registrations are gone, and that is a change: a revision must not mean two things.
    this.#lasting = { ...lasting, revision: lasting.revision + 1 };
    this.#leaderUntil = now + (lasting.leader?.leaseMs ?? 0);
  }

  lasting(): LastingState {
    return this.#lasting;
  }

  get revision(): number {
    return this.#lasting.revision;
  }

  /** Forgets what has run out. */
  expire(now: number): void {
    if (this.#lasting.leader !== null && now >= this.#leaderUntil) this.#change({ leader: null });
    for (const [name, member] of this.#members) {
      if (now >= member.until) this.withdraw(name);
    }
  }

  /** When `expire` has something to do next, or null. */
  get nextExpiry(): number | null {
    const ends = [...this.#members.values()].map((member) => member.until);
    if (this.#lasting.leader !== null) ends.push(this.#leaderUntil);
    return ends.length === 0 ? null : Math.min(...ends);
  }

  view(): StoreView {
    const { revision, term, leader, values } = this.#lasting;
    return {
      revision,
      term,
      leader: leader === null ? null : { holder: leader.holder, term: leader.term },
      values: new Map(Object.entries(values)),
      members: new Map([...this.#members].map(([name, { text }]) => [name, text])),
    };
  }

  /** The new term, or null. */
  acquire(holder: string, afterTerm: number, leaseMs: number, now: number): number | null {
    if (this.#lasting.leader !== null || this.#lasting.term !== afterTerm) return null;
    const term = afterTerm + 1;
    this.#leaderUntil = now + leaseMs;
    this.#change({ term, leader: { holder, term, leaseMs } });
    return term;
  }

  /** Whether the lease goes on. Not a change: nobody else is told. */
  renew(leader: Leader, leaseMs: number, now: number): boolean {
    if (!this.#leads(leader)) return false;
    this.#leaderUntil = now + leaseMs;
    return true;
  }

  release(leader: Leader): void {
    if (this.#leads(leader)) this.#change({ leader: null });
  }

  /** The new version, or null. */
  publish(name: string, text: string, version: number, leader: Leader | null): number | null {
    if (leader !== null && !this.#leads(leader)) return null;
    if ((this.#lasting.values[name]?.version ?? 0) !== version) return null;
    const next = this.#lasting.revision + 1;
    this.#change({ values: { ...this.#lasting.values, [name]: { text, version: next } } });
    return next;
  }

  register(name: string, text: string, memberMs: number, now: number): void {
    const known = this.#members.get(name)?.text;
    this.#members.set(name, { text, until: now + memberMs });
    if (known !== text) this.#change({});
  }

  withdraw(name: string): void {
    if (this.#members.delete(name)) this.#change({});
  }

  #leads({ holder, term }: Leader): boolean {
    const { leader } = this.#lasting;
    return leader !== null && leader.holder === holder && leader.term === term;
  }

  #change(change: Partial<LastingState>): void {
    this.#lasting = { ...this.#lasting, ...change, revision: this.#lasting.revision + 1 };
  }
}
