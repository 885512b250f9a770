/** SHOW NODES, which PgBouncer has not: the servers of databases that are routed, while these have clients. */
import type { NodeSnapshot } from '../../core/route/node-snapshot.js';
import type { Row } from './filter.js';
import { columns, row, type Table } from './table.js';

const US_PER_MS = 1000;

/** `latency` is in us. */
export const NODES: Table = {
  columns: columns(`
    database name address role evidence_age_ms:q timeline:q lsn lag_bytes:q lag_ms:q weight:i zone in_use:i reads:q latency:q
    state`),
  rows: ({ snapshot }) =>
    snapshot.routed.flatMap(({ database, nodes }) => nodes.map((node) => nodeRow(database, node))),
};

function nodeRow(database: string, node: NodeSnapshot): Row {
  return row(
    database,
    node.name,
    node.address,
    node.role,
    node.evidenceAgeMs === null ? null : Math.round(node.evidenceAgeMs),
    node.timeline,
    node.lsn,
    node.lagBytes,
    node.lagMs === null ? null : Math.round(node.lagMs),
    node.weight,
    node.zone,
    node.inUse,
    node.reads,
    Math.round(node.latencyMs * US_PER_MS),
    node.state,
  );
}
