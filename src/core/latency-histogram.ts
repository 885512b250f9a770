/**
 * How long things take, counted by size: one count for each of a fixed number of durations, eight to every doubling.
 * A percentile read from it is off by 6 % at most; adding costs one increment and no memory.
 */

/** Counts for each doubling: the three bits behind the highest one tell them apart. */
const STEPS = 8;
const STEP_BITS = 3;
/** 2^31 us are 35 minutes; what takes longer counts as that. */
const US_MAX = 2 ** 31 - 1;

/** How many durations are told apart. */
export const LATENCY_BUCKETS = bucketOf(US_MAX) + 1;

/** Which count a duration belongs to, in us. */
export function bucketOf(us: number): number {
  if (us < STEPS) return us;
  const highest = 31 - Math.clz32(us);
  const shift = highest - STEP_BITS;
  return ((shift + 1) << STEP_BITS) + ((us >> shift) & (STEPS - 1));
}

/** The middle of the durations that belong to a count, in us. */
export function bucketMiddle(bucket: number): number {
  if (bucket < STEPS) return bucket;
  const shift = (bucket >> STEP_BITS) - 1;
  const first = (STEPS + (bucket & (STEPS - 1))) << shift;
  return first + ((1 << shift) - 1) / 2;
}

/** Counts since the start; they only grow, and wrap at 2^32. */
export class LatencyHistogram {
  readonly counts = new Uint32Array(LATENCY_BUCKETS);

  /** @param ms a duration; fractions down to a microsecond count */
  add(ms: number): void {
    const us = ms * 1000;
    this.counts[bucketOf(us < US_MAX ? us | 0 : US_MAX)]! += 1;
  }
}

/** What was counted between two looks at the same histogram. */
export function latencyGrowth(earlier: Uint32Array | null, later: Uint32Array): Uint32Array {
  if (earlier === null) return later;
  // Subtraction wraps as the counts do.
  return later.map((count, bucket) => count - earlier[bucket]!);
}

/**
 * The durations in us that so many per cent of what was counted did not exceed; null where nothing was counted.
 * @param percents in rising order
 */
export function latencyPercentiles(counts: Uint32Array, percents: readonly number[]): (number | null)[] {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return percents.map(() => null);
  let bucket = -1;
  let counted = 0;
  return percents.map((percent) => {
    const rank = Math.max(1, Math.ceil((total * percent) / 100));
    while (counted < rank) counted += counts[++bucket]!;
    return Math.round(bucketMiddle(bucket));
  });
}
