/**
 * The distributed configuration store (DCS): the one place where a cluster's nodes agree on who leads. No consensus
 * protocol is written here: a store is an existing one (etcd; Kubernetes' API later), or a file for one machine.
 *
 * What every store promises, and the conformance suite (test/stores) asks of each:
 * - *Mutual exclusion*: at most one holder of the lease at a time, by the argument of cluster/lease-time.ts.
 * - *Terms*: each holding has a term of its own, one more than the last. It never goes back, not by a restart either.
 * - *No return*: who has lost the lease doesn't get it back under the same term.
 * - `read()` is linearizable: it shows every change that was answered before it was asked.
 * - A change whose answer is lost was made or not made, and is never repeated by the store itself.
 * - `watch()` may leave intermediate states out, but never the last one, whatever it has missed.
 */
import type { Holding, Leader, StoreView } from '../cluster/store-view.js';

/** A name of a value or a member. */
export const STORE_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
/** The longest text of a value or a member. Bytes. */
export const STORE_TEXT_BYTES_MAX = 64 * 1024;
/** The longest answer that is read from a store. Bytes. */
export const STORE_ANSWER_BYTES_MAX = 4 * 1024 * 1024;

/** What is the same for every store. */
export interface StoreSettings {
  /** How long a lease lasts without being renewed. ms. */
  readonly leaseMs: number;
  /** How long a member counts as present without registering again. ms. */
  readonly memberMs: number;
  /** How long one request may take before its outcome counts as unknown. ms. */
  readonly requestMs: number;
  /** A watch reads again after so long, whatever it was told. ms. */
  readonly refreshMs: number;
  /** A monotonic clock. ms. */
  readonly clock: () => number;
}

/** How long a renewal may take, with all of its attempts: the rest of the lease is for the next one. ms. */
export function renewalLimit({ leaseMs, requestMs }: { leaseMs: number; requestMs: number }): number {
  return Math.max(requestMs, 0.6 * leaseMs);
}

/** On what a publication depends. If it isn't so, nothing is changed. */
export interface PublishCondition {
  /** The version that is replaced; 0: there is no such value yet. */
  readonly version: number;
  /** Who must still hold the lease, and under which term. */
  readonly leader?: Leader;
}

/** Ends a watch. */
export interface StoreWatch {
  close(): void;
}

/** One cluster's part of a store. Methods reject with a {@link StoreError} alone. */
export interface Store {
  /** For people: which store, and where. Without secrets. */
  readonly description: string;

  /** Everything, as it is now. */
  read(): Promise<StoreView>;

  /**
   * Takes the vacant lease under the term `afterTerm + 1`, if `afterTerm` is the last one. Null: somebody holds it, or the
   * term has moved on.
   */
  acquire(holder: string, afterTerm: number): Promise<Holding | null>;

  /** The same holding with a later `since`. Null: it is lost, and will not come back. */
  renew(holding: Holding): Promise<Holding | null>;

  /** Gives the lease up at once, if this leader still has it. Whoever calls it has stopped acting before. */
  release(leader: Leader): Promise<void>;

  /** Changes a value. The new version, or null if the condition did not hold. */
  publish(name: string, text: string, condition: PublishCondition): Promise<number | null>;

  /** Says that a member is there, and what it says of itself; to be repeated within `memberMs`. */
  register(member: string, text: string): Promise<void>;

  /** Takes a registration back. */
  withdraw(member: string): Promise<void>;

  /**
   * Calls `onView` with what is there now, after each change, and at least every `refreshMs`. Between two calls the
   * revision never goes back. `onTrouble` is called when the store can't be read; the watch goes on trying.
   */
  watch(onView: (view: StoreView) => void, onTrouble: (error: StoreError) => void): StoreWatch;

  /** Lets go of connections. Leases and registrations are left to run out. */
  close(): Promise<void>;
}

/** What is certain about a request that failed. */
export type StoreErrorKind =
  /** Nothing was changed: it did not reach the store. */
  | 'unreachable'
  /** It may have been done, or may still be done. */
  | 'unknown'
  /** The store refuses us: user, password, permission. Nothing was changed. */
  | 'denied'
  /** The store says, or does, what is not understood. */
  | 'protocol';

/** A store's failure. The message names the store and never a secret. */
export class StoreError extends Error {
  readonly kind: StoreErrorKind;

  constructor(kind: StoreErrorKind, message: string) {
    super(message);
    this.name = 'StoreError';
    this.kind = kind;
  }
}

/** Throws if a name or text is none that every store can keep. */
export function checkEntry(name: string, text: string): void {
  if (!STORE_NAME.test(name))
    throw new StoreError('protocol', `${JSON.stringify(name)} is no name for a store`);
  const bytes = Buffer.byteLength(text);
  if (bytes > STORE_TEXT_BYTES_MAX) {
    throw new StoreError('protocol', `${name}: ${bytes} bytes are more than ${STORE_TEXT_BYTES_MAX}`);
  }
}
