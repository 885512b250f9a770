/**
 * Why two nodes never hold one lease, without comparing clocks.
 *
 * A lease is a *duration*. Nobody sends a time of day, and nobody compares a time of its own with another's: each side
 * measures on its own monotonic clock, and all that is assumed of two clocks is that they run at nearly the same rate.
 *
 * Let L be the length of the lease, and s the allowance ({@link CLOCK_RATE_ALLOWANCE}): in the time in which a perfect
 * clock advances by d, every clock advances by at least d(1 - s) and at most d(1 + s).
 *
 * - The *holder* acts for `L(1 - s)` of its clock, counted **from before it sent** the request that was granted. By a
 *   perfect clock that is at most `L(1 - s) / (1 - s) = L` after the sending.
 * - The *others* (the store's server, or with a store that has no clock each observer) wait `L(1 + s)` of their clock,
 *   counted **from after the request has arrived**, or been seen. By a perfect clock that is at least L after it.
 *
 * A request arrives after it was sent. So the holder has ended before anybody else may begin, however long the request or
 * its answer were under way, and whether or not the answer came at all: a lost answer only makes the holder's time shorter.
 * What a holder does must itself be over by then: it begins to stop {@link ClusterTiming} `fenceMs` earlier, and what it
 * has given leave to (a gateway, the guard of a PostgreSQL) ends at the same moment by itself.
 *
 * It does not hold for a machine that stands still together with its clock and then goes on (a virtual machine that is
 * suspended). That holder believes in its lease until its next step. There the synchronous standbys are the fence: they
 * have left the old primary before another one was elected, so that it can't have a commit acknowledged.
 */

/** How far the rate of a clock may be off: 2 %, forty times what NTP's corrections make of it. */
export const CLOCK_RATE_ALLOWANCE = 0.02;

/** The two lengths of one lease. */
export interface LeaseTimes {
  /** How long its holder may act, from before the request was sent. ms of its monotonic clock. */
  readonly holderMs: number;
  /** How long others must leave it alone, from when the request had arrived. ms of their monotonic clock. */
  readonly takeoverMs: number;
}

/** The two lengths of a lease of `leaseMs`, rounded to the safe side. */
export function leaseTimes(leaseMs: number): LeaseTimes {
  return {
    holderMs: Math.floor(leaseMs * (1 - CLOCK_RATE_ALLOWANCE)),
    takeoverMs: Math.ceil(leaseMs * (1 + CLOCK_RATE_ALLOWANCE)),
  };
}
