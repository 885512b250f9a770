/** Averages over the last period (`stats_period`), from two looks at what only grows. */
import type { DatabaseTotals, Snapshot } from '../../core/snapshot.js';

/** The sums of a database, without its name. */
export type Sums = Omit<DatabaseTotals, 'database'>;

/** What has changed between two snapshots. */
export interface StatsPeriod {
  readonly seconds: number;
  /** Null: the database wasn't there. */
  since(database: string): Sums | null;
}

/** Before there were two looks. */
export const NO_PERIOD: StatsPeriod = { seconds: 0, since: () => null };

export function periodBetween(earlier: Snapshot, later: Snapshot): StatsPeriod {
  const before = new Map(earlier.totals.map((totals) => [totals.database, totals]));
  const after = new Map(later.totals.map((totals) => [totals.database, totals]));
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
  };
}
