/**
 * The few statistics that a comparison of poolers needs. Pure.
 *
 * Medians, because one run in ten on a shared machine is an outlier; and ratios of runs that stood side by side
 * (pairs), because the machine's speed drifts from minute to minute more than the poolers differ.
 */

/** A middle value with its extremes. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** The median; of an even number of values the mean of the two in the middle. NaN of none. */
export function median(values: readonly number[]): number {
  if (values.length === 0) return Number.NaN;
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Median, least and greatest; null of no values. */
export function spread(values: readonly number[]): Spread | null {
  if (values.length === 0) return null;
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) };
}

/**
 * Spread of `ours[i] / base[i]`. Element i of both must come from the same round; null marks a run that gave no
 * figure, and its pair is left out, as is one whose base is not positive. Null if no pair is left.
 */
export function pairedRatio(
  ours: readonly (number | null)[],
  base: readonly (number | null)[],
): Spread | null {
  const ratios: number[] = [];
  for (let round = 0; round < Math.min(ours.length, base.length); round++) {
    const over = ours[round];
    const under = base[round];
    if (over == null || under == null || !(under > 0) || !Number.isFinite(over)) continue;
    ratios.push(over / under);
  }
  return spread(ratios);
}

/**
 * The smallest value that at least `share` (0 to 1) of all values do not exceed (nearest-rank percentile).
 * `sorted` must be ascending. NaN of none.
 */
export function percentile(sorted: ArrayLike<number>, share: number): number {
  if (sorted.length === 0) return Number.NaN;
  const rank = Math.ceil(share * sorted.length);
  return sorted[Math.min(Math.max(rank, 1), sorted.length) - 1]!;
}
