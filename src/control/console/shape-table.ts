/** SHOW SHAPES, which PgBouncer has not: what is known of statements, for all that differ in constants alone. Times are in us. */
import { latencyPercentiles } from '../../core/latency-histogram.js';
import type { ShapeSnapshot } from '../../core/snapshot.js';
import type { Row } from './filter.js';
import { columns, row, type Table } from './table.js';

const US_PER_MS = 1000;
const PERCENTS = [95] as const;

export const SHAPES: Table = {
  columns: columns(`
    database calls:q on_standby:q on_primary:q rerouted:q avg_time:q p95_time:q may_run_on kind reason search_path text`),
  detail: 'shapes',
  rows: ({ snapshot }) => (snapshot.shapes ?? []).map(shapeRow),
};

function shapeRow(shape: ShapeSnapshot): Row {
  const calls = shape.onStandby + shape.onPrimary;
  return row(
    shape.database,
    calls,
    shape.onStandby,
    shape.onPrimary,
    shape.rerouted,
    calls === 0 ? null : Math.round((shape.totalMs * US_PER_MS) / calls),
    shape.latency === null ? null : latencyPercentiles(shape.latency, PERCENTS)[0]!,
    shape.mayRunOnStandby ? 'standby' : 'primary',
    shape.kind,
    shape.reason,
    shape.searchPath,
    shape.text,
  );
}
