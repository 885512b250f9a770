/** How a cluster behaves, and how long it waits. */
import { leaseTimes } from './lease-time.js';
import type { Contact } from './records.js';

/**
 * What an acknowledged commit is worth.
 * - `durable`: it is on `quorum` standbys, always. Without them commits wait.
 * - `available`: the same while there are such standbys. Without them the primary goes on alone, and says so in the store
 *   first, so that nobody without its commits can be elected; if it is then lost, the cluster waits for it.
 * - `asynchronous`: commits wait for nobody, and a failover may lose the last ones.
 */
export type Durability = 'durable' | 'available' | 'asynchronous';

/** Durations of a node's own monotonic clock, in ms. */
export interface ClusterTiming {
  /** The lease: how long silence of a leader lasts before another one is elected. */
  readonly leaseMs: number;
  /** Between two renewals that succeed, and after one that failed. */
  readonly renewMs: number;
  readonly renewRetryMs: number;
  /** So long before its lease ends a leader begins to end its PostgreSQL. */
  readonly fenceMs: number;
  /** Between two registrations. */
  readonly registerMs: number;
  /** Before something that has failed is tried again. */
  readonly retryMs: number;
  /** For how long a vacancy is kept for those who are about to vote, so that the best is chosen. */
  readonly graceMs: number;
  /** For how long a vacancy is kept for the best, where that is a matter of preference or of allowed loss. */
  readonly patienceMs: number;
  /** A standby that doesn't stream is taken off the list after so long (with `available`, and while others are there). */
  readonly dropMs: number;
  /** How long the checkpoint may take that a primary writes before it hands over, so that its end takes less. */
  readonly checkpointMs: number;
  /** How long running transactions may take to end in a switchover, and then how long PostgreSQL may. */
  readonly drainMs: number;
  readonly yieldMs: number;
}

/** One node's settings. */
export interface ClusterSettings {
  readonly node: string;
  readonly contact: Contact;
  /** 0: never leads. */
  readonly priority: number;
  readonly mayBegin: boolean;
  /** The standby that it receives from while that can be; null: from who leads. */
  readonly replicateFrom: string | null;
  readonly durability: Durability;
  /** How many standbys have an acknowledged commit. */
  readonly quorum: number;
  readonly timing: ClusterTiming;
}

/** A lease of five seconds, renewed every second. */
export const DEFAULT_TIMING: ClusterTiming = {
  leaseMs: 5000,
  renewMs: 1000,
  renewRetryMs: 250,
  fenceMs: 500,
  registerMs: 1500,
  retryMs: 1000,
  graceMs: 300,
  patienceMs: 2000,
  dropMs: 2000,
  checkpointMs: 5000,
  drainMs: 1000,
  yieldMs: 2000,
};

/** How long a holder may act after it has sent a request that was granted. ms. */
export function holderMs({ leaseMs }: ClusterTiming): number {
  return leaseTimes(leaseMs).holderMs;
}
