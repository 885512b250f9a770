/** What pools and databases add to the page. */
import type { DatabaseTotals, PoolSnapshot, Snapshot } from '../../core/snapshot.js';
import type { Distribution, Exposition, Labels, Value } from './exposition.js';
import { type LatencyTotals, TIMED, type Timed } from './latency-totals.js';
import { DATABASES_SHOWN_MAX, POOLS_SHOWN_MAX } from './limits.js';

const MS_PER_S = 1000;

/** PgBouncer's words, with the figures of `SHOW POOLS` that they stand for. */
const CLIENT_STATES: Readonly<Record<string, keyof PoolSnapshot>> = {
  active: 'clActive',
  waiting: 'clWaiting',
};
const SERVER_STATES: Readonly<Record<string, keyof PoolSnapshot>> = {
  active: 'svActive',
  idle: 'svIdle',
  used: 'svUsed',
  tested: 'svTested',
  login: 'svLogin',
  being_canceled: 'svBeingCanceled',
  active_cancel: 'svActiveCancel',
};
const CANCEL_STATES: Readonly<Record<string, keyof PoolSnapshot>> = {
  active: 'clActiveCancelReq',
  waiting: 'clWaitingCancelReq',
};

/** Sums since the start, by their names. */
const SUMS: readonly (readonly [name: string, key: keyof DatabaseTotals, help: string])[] = [
  ['transactions', 'transactions', 'Transactions that have ended.'],
  ['queries', 'queries', 'Queries that were answered.'],
  ['received_bytes', 'bytesReceived', 'Bytes that came from clients.'],
  ['sent_bytes', 'bytesSent', 'Bytes that went to clients.'],
  ['server_assignments', 'serverAssignments', 'How often a client was given a server connection.'],
  ['client_parses', 'clientParses', 'Statements that clients have prepared.'],
  ['server_parses', 'serverParses', 'Statements that were prepared on servers.'],
  ['binds', 'binds', 'Prepared statements that were bound.'],
  ['logins', 'clientLogins', 'Clients that have logged in.'],
];

const HISTOGRAMS: Readonly<Record<Timed, readonly [name: string, sum: keyof DatabaseTotals, help: string]>> =
  {
    query: ['query_duration_seconds', 'queryUs', 'How long queries took.'],
    transaction: ['transaction_duration_seconds', 'transactionUs', 'How long transactions took.'],
    wait: [
      'wait_duration_seconds',
      'waitUs',
      'How long clients waited for the server connection that they got.',
    ],
  };

export function addPools(page: Exposition, { pools }: Snapshot): void {
  const shown = pools.slice(0, POOLS_SHOWN_MAX);
  const byState = (states: Readonly<Record<string, keyof PoolSnapshot>>) =>
    shown.flatMap((pool) =>
      Object.entries(states).map(([state, key]): [Labels, Value] => [
        { ...labelsOf(pool), state },
        Number(pool[key]),
      ]),
    );
  page.gauge('pool_clients', 'Clients of a pool.', byState(CLIENT_STATES));
  page.gauge('pool_servers', 'Server connections of a pool.', byState(SERVER_STATES));
  page.gauge('pool_cancel_requests', 'Cancel requests of a pool under way.', byState(CANCEL_STATES));
  page.gauge(
    'pool_oldest_wait_seconds',
    'How long the oldest waiting client has waited.',
    shown.map((pool) => [labelsOf(pool), pool.maxWaitMs / MS_PER_S]),
  );
}

function labelsOf({ database, user }: PoolSnapshot): Labels {
  return { database, user };
}

export function addDatabases(page: Exposition, snapshot: Snapshot, latencies: LatencyTotals): void {
  const shown = snapshot.databases.slice(0, DATABASES_SHOWN_MAX);
  const gauge = (name: string, help: string, value: (database: (typeof shown)[number]) => Value) =>
    page.gauge(
      `database_${name}`,
      help,
      shown.map((database) => [{ database: database.name }, value(database)]),
    );
  gauge('clients', 'Clients of a database.', ({ clientConnections }) => clientConnections);
  gauge('servers', 'Server connections of a database.', ({ serverConnections }) => serverConnections);
  gauge('paused', 'PAUSE is in force.', ({ paused }) => paused);
  gauge('disabled', 'DISABLE is in force.', ({ disabled }) => disabled);
  const names = new Set(shown.map(({ name }) => name));
  const totals = new Map(
    snapshot.totals.filter(({ database }) => names.has(database)).map((sums) => [sums.database, sums]),
  );
  for (const [name, key, help] of SUMS) {
    page.counter(
      `database_${name}`,
      help,
      [...totals].map(([database, sums]) => [{ database }, Number(sums[key])]),
    );
  }
  latencies.note(
    snapshot.latencies.filter(({ database }) => names.has(database)),
    totals,
  );
  for (const what of TIMED) {
    const [name, key, help] = HISTOGRAMS[what];
    const samples = [...totals].map(([database, sums]) => [
      { database },
      latencies.distribution(database, what, Number(sums[key])),
    ]);
    page.histogram(
      name,
      help,
      samples.filter((sample): sample is [{ database: string }, Distribution] => sample[1] !== null),
    );
  }
}
