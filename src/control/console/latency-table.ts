/** SHOW LATENCIES, which PgBouncer has not: percentiles beside the averages of SHOW STATS, in us as there. */
import { latencyPercentiles } from '../../core/latency-histogram.js';
import type { DatabaseLatencies } from '../../core/snapshot.js';
import { columns, row, type Table } from './table.js';

const PERCENTS = [50, 95, 99] as const;

/** Of what ended in the last full `stats_period`; NULL where nothing did. */
export const LATENCIES: Table = {
  columns: columns(`
    database query_count:q query_p50:q query_p95:q query_p99:q xact_count:q xact_p50:q xact_p95:q xact_p99:q
    wait_count:q wait_p50:q wait_p95:q wait_p99:q`),
  rows: ({ snapshot, period }) =>
    snapshot.latencies.map(({ database }) => {
      const took = period.latencies(database);
      return row(
        database,
        ...percentilesOf(took, 'query'),
        ...percentilesOf(took, 'transaction'),
        ...percentilesOf(took, 'wait'),
      );
    }),
};

/** How many there were, and their percentiles. */
function percentilesOf(
  took: DatabaseLatencies | null,
  what: 'query' | 'transaction' | 'wait',
): (number | null)[] {
  if (took === null) return [0, ...PERCENTS.map(() => null)];
  const count = took[what].reduce((sum, each) => sum + each, 0);
  return [count, ...latencyPercentiles(took[what], PERCENTS)];
}
