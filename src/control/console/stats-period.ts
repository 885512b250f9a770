/** What was counted in the last period (`stats_period`), from two looks at what only grows. */
import { latencyGrowth } from '../../core/latency-histogram.js';
import type { DatabaseLatencies, DatabaseTotals, Snapshot } from '../../core/snapshot.js';

/** The sums of a database, without its name. */
export type Sums = Omit<DatabaseTotals, 'database'>;

/** What has changed between two snapshots. */
export interface StatsPeriod {
  readonly seconds: number;
  /** Null: the database wasn't there. */
  since(database: string): Sums | null;
  /** How long things took, of what ended in the period. Null: the database wasn't there. */
  latencies(database: string): DatabaseLatencies | null;
}

/** Before there were two looks. */
export const NO_PERIOD: StatsPeriod = { seconds: 0, since: () => null, latencies: () => null };

/** The period between two looks at the same gateway. */
export function periodBetween(earlier: Snapshot, later: Snapshot): StatsPeriod {
  const before = byDatabase(earlier.totals);
  const after = byDatabase(later.totals);
  const latenciesBefore = byDatabase(earlier.latencies);
  const latenciesAfter = byDatabase(later.latencies);
  return {
    seconds: (later.now - earlier.now) / 1000,
    since(database) {
      const now = after.get(database);
      if (now === undefined) return null;
      const { database: _, ...sums } = now;
      const old = before.get(database);
      const entries = Object.entries(sums).map(([key, sum]) => [key, sum - (old?.[key as keyof Sums] ?? 0)]);
      return Object.fromEntries(entries) as unknown as Sums;
    },
    latencies(database) {
      const now = latenciesAfter.get(database);
      if (now === undefined) return null;
      const old = latenciesBefore.get(database);
      return {
        database,
        query: latencyGrowth(old?.query ?? null, now.query),
        transaction: latencyGrowth(old?.transaction ?? null, now.transaction),
        wait: latencyGrowth(old?.wait ?? null, now.wait),
      };
    },
  };
}

function byDatabase<T extends { readonly database: string }>(entries: readonly T[]): Map<string, T> {
  return new Map(entries.map((entry) => [entry.database, entry]));
}
