/**
 * Times in which hardly anybody writes, the same for all sessions: reads are sent before the primary is asked then, and what is
 * written all the same must be seen by them.
 */

const PERIOD_MS = 2000;
/** How long of each period: its beginning. */
const LULL_MS = 800;
/** How much less is written in a lull by who reads, too. Who only writes rests: some of them don't wait for the disk. */
const FACTOR = 200;

function isLull(nowMs: number): boolean {
  return nowMs % PERIOD_MS < LULL_MS;
}

/** @param chance of a write at other times */
export function writeChance(nowMs: number, chance: number): number {
  return isLull(nowMs) ? chance / FACTOR : chance;
}

/** @param restMs how long a writer rests at other times */
export function restOf(nowMs: number, restMs: number): number {
  return isLull(nowMs) ? LULL_MS - (nowMs % PERIOD_MS) : restMs;
}
