/** SHOW STATS and its relatives: PgBouncer's counters, by database. */
import type { Row } from './filter.js';
import type { Sums } from './stats-period.js';
import { columns, type Facts, row, type Table } from './table.js';

const COUNTERS = [
  'serverAssignments',
  'transactions',
  'queries',
  'bytesReceived',
  'bytesSent',
  'transactionUs',
  'queryUs',
  'waitUs',
  'clientParses',
  'serverParses',
  'binds',
  'clientLogins',
] as const satisfies readonly (keyof Sums)[];

/** Names of the averages in SHOW TOTALS, which differ from the others' (PgBouncer: stats.c). */
const TOTALS_NAMES = [
  ...['server_assignment_count', 'xact_count', 'query_count', 'client_bytes', 'server_bytes'],
  ...['xact_time', 'query_time', 'wait_time'],
  ...['ps_client_parse_count', 'ps_server_parse_count', 'ps_bind_count', 'client_login_count'],
];

function totals(sums: Sums): number[] {
  return COUNTERS.map((counter) => sums[counter]);
}

/** Per second; durations per transaction, query and assignment, in us. */
function averages(sums: Sums | null, seconds: number): number[] {
  if (sums === null || seconds <= 0) return COUNTERS.map(() => 0);
  const divisors: Partial<Record<keyof Sums, number>> = {
    transactionUs: sums.transactions,
    queryUs: sums.queries,
    waitUs: sums.serverAssignments,
  };
  return COUNTERS.map((counter) => {
    const divisor = divisors[counter] ?? seconds;
    return divisor === 0 ? 0 : Math.floor(sums[counter] / divisor);
  });
}

function perDatabase(values: (facts: Facts, sums: Sums, database: string) => number[]): Table['rows'] {
  return (facts) =>
    facts.snapshot.totals.map(
      ({ database, ...sums }): Row => row(database, ...values(facts, sums, database)),
    );
}

const averagesOf = ({ period }: Facts, database: string): number[] =>
  averages(period.since(database), period.seconds);

export const STATS: Table = {
  columns: columns(`
    database total_server_assignment_count:N total_xact_count:N total_query_count:N total_received:N total_sent:N
    total_xact_time:N total_query_time:N total_wait_time:N total_client_parse_count:N total_server_parse_count:N
    total_bind_count:N total_client_login_count:N avg_server_assignment_count:N avg_xact_count:N avg_query_count:N
    avg_recv:N avg_sent:N avg_xact_time:N avg_query_time:N avg_wait_time:N avg_client_parse_count:N
    avg_server_parse_count:N avg_bind_count:N avg_client_login_count:N`),
  rows: perDatabase((facts, sums, database) => [...totals(sums), ...averagesOf(facts, database)]),
};

export const STATS_TOTALS: Table = {
  columns: columns(`
    database server_assignment_count:N xact_count:N query_count:N bytes_received:N bytes_sent:N xact_time:N query_time:N
    wait_time:N client_parse_count:N server_parse_count:N bind_count:N client_login_count:N`),
  rows: perDatabase((_, sums) => totals(sums)),
};

export const STATS_AVERAGES: Table = {
  columns: columns(`
    database server_assignment_count:N xact_count:N query_count:N bytes_received:N bytes_sent:N xact_time:N query_time:N
    wait_time:N avg_client_parse_count:N avg_server_parse_count:N avg_bind_count:N avg_client_login_count:N`),
  rows: perDatabase((facts, _, database) => averagesOf(facts, database)),
};

export const TOTALS: Table = {
  columns: columns('name value:N'),
  rows(facts) {
    const all = facts.snapshot.totals;
    const sum = (lists: readonly (readonly number[])[], at: number): number =>
      lists.reduce((total, list) => total + list[at]!, 0);
    const sums = all.map(totals);
    const means = all.map(({ database }) => averagesOf(facts, database));
    return [
      ...TOTALS_NAMES.map((name, at) => row(`total_${name}`, sum(sums, at))),
      ...TOTALS_NAMES.map((name, at) => row(`avg_${name}`, sum(means, at))),
    ];
  },
};
