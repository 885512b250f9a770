/** SHOW SHAPES, which PgBouncer has not: what is known of statements, for all that differ in constants alone. */
import { latencyPercentiles } from '../../core/latency-histogram.js';
import type { ShapeSnapshot } from '../../core/snapshot.js';
import type { Row } from './filter.js';
import { columns, row, type Table } from './table.js';

const US_PER_MS = 1000;
const PERCENTS = [50, 95, 99] as const;

/** Rows and times are those on standbys; in us. */
export const SHAPES: Table = {
  columns: columns(`
    database calls:q on_standby:q on_primary:q rerouted:q rows:q avg_time:q p50_time:q p95_time:q p99_time:q may_run_on kind reason search_path text`),
  detail: 'shapes',
  rows: ({ snapshot }) => (snapshot.shapes ?? []).map(shapeRow),
};

function shapeRow(shape: ShapeSnapshot): Row {
  const percentiles =
    shape.latency === null ? PERCENTS.map(() => null) : latencyPercentiles(shape.latency, PERCENTS);
  return row(
    shape.database,
    shape.onStandby + shape.onPrimary,
    shape.onStandby,
    shape.onPrimary,
    shape.rerouted,
    shape.rows,
    shape.onStandby === 0 ? null : Math.round((shape.standbyMs * US_PER_MS) / shape.onStandby),
    ...percentiles,
    shape.mayRunOnStandby ? 'standby' : 'primary',
    shape.kind,
    shape.reason,
    shape.searchPath,
    shape.text,
  );
}
