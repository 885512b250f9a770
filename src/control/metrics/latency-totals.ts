/** Histograms for Prometheus out of the core's counts, which are finer, and wrap at 2^32 where Prometheus would see a restart. */
import { bucketOf, LATENCY_BUCKETS, latencyGrowth } from '../../core/latency-histogram.js';
import type { DatabaseLatencies, DatabaseTotals } from '../../core/snapshot.js';
import type { Distribution } from './exposition.js';

/** Powers of two, at which the core's counts have their limits, from 128 us to 67 s. us. */
const BOUNDS_US = [7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 22, 24, 26].map(
  (power) => 2 ** power,
);
const US_PER_S = 1e6;

/** What is told apart. */
export type Timed = 'query' | 'transaction' | 'wait';
export const TIMED: readonly Timed[] = ['query', 'transaction', 'wait'];

interface Known {
  readonly queries: number;
  readonly last: DatabaseLatencies;
  readonly counts: Readonly<Record<Timed, Float64Array>>;
}

export class LatencyTotals {
  #known = new Map<string, Known>();

  /** Adds what has been counted since the last look. Databases that are not there any more are forgotten. */
  note(latencies: readonly DatabaseLatencies[], totals: ReadonlyMap<string, DatabaseTotals>): void {
    const now = new Map<string, Known>();
    for (const latency of latencies) {
      const queries = totals.get(latency.database)?.queries ?? 0;
      const before = this.#known.get(latency.database);
      // One of a smaller sum was made anew meanwhile.
      const known = before !== undefined && before.queries <= queries ? before : null;
      const counts = known?.counts ?? {
        query: new Float64Array(LATENCY_BUCKETS),
        transaction: new Float64Array(LATENCY_BUCKETS),
        wait: new Float64Array(LATENCY_BUCKETS),
      };
      for (const what of TIMED) {
        const total = counts[what];
        latencyGrowth(known?.last[what] ?? null, latency[what]).forEach((count, bucket) => {
          total[bucket]! += count;
        });
      }
      now.set(latency.database, { queries, last: latency, counts });
    }
    this.#known = now;
  }

  /** In seconds. @param sumUs how long they took together */
  distribution(database: string, what: Timed, sumUs: number): Distribution | null {
    const counts = this.#known.get(database)?.counts[what];
    if (counts === undefined) return null;
    const buckets: [number, number][] = [];
    let counted = 0;
    let bucket = 0;
    for (const bound of BOUNDS_US) {
      for (const end = bucketOf(bound); bucket < end; bucket += 1) counted += counts[bucket]!;
      buckets.push([bound / US_PER_S, counted]);
    }
    for (; bucket < counts.length; bucket += 1) counted += counts[bucket]!;
    return { buckets, count: counted, sum: sumUs / US_PER_S };
  }
}
