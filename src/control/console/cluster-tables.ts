/** SHOW EPOCH and SHOW EVENTS, which PgBouncer has not: who leads, as the cluster's store says, and what has happened. */
import type { ClusterStatus } from '../cluster/cluster-watch.js';
import type { Row } from './filter.js';
import { columns, row, type Table } from './table.js';

export const EPOCH: Table = {
  columns: columns('cluster store term:q leader system_identifier timeline:q state age_ms:q error'),
  rows: ({ cluster }) => (cluster === null ? [] : [epochRow(cluster)]),
};

function epochRow(status: ClusterStatus): Row {
  const { cluster, store, news, ageMs, trouble } = status;
  const epoch = news?.epoch ?? null;
  return row(
    cluster,
    store,
    news?.term ?? null,
    epoch?.leader ?? null,
    epoch?.systemId ?? null,
    epoch?.timeline ?? null,
    stateOf(status),
    ageMs === null ? null : Math.round(ageMs),
    trouble,
  );
}

/** `unheard`: not within the lease, so that nobody is written to. */
export function stateOf({ news, ageMs }: ClusterStatus): 'unheard' | 'vacant' | 'held' | 'open' {
  if (news === null || ageMs === null || ageMs >= news.leaseMs) return 'unheard';
  if (news.epoch === null) return 'vacant';
  return news.isHeld ? 'held' : 'open';
}

export const EVENTS: Table = {
  columns: columns('time event concerns message'),
  rows: ({ events }) =>
    events.map(({ at, event, concerns, message }) => row(at.toISOString(), event, concerns, message)),
};
