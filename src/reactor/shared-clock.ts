/** The monotonic clock of the machine (CLOCK_MONOTONIC), which all threads of the process read alike. ms. */

const NS_PER_MS = 1e6;

export function sharedClock(): number {
  return Number(process.hrtime.bigint()) / NS_PER_MS;
}
