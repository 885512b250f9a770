import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatStats } from './stats-log.js';

const totals = (factor: number) => ({
  serverAssignments: 10 * factor,
  transactions: 20 * factor,
  queries: 40 * factor,
  bytesReceived: 1000 * factor,
  bytesSent: 3000 * factor,
  transactionUs: 2000 * factor,
  queryUs: 3000 * factor,
  waitUs: 55 * factor,
  clientParses: 4 * factor,
  serverParses: 2 * factor,
  binds: 8 * factor,
});

test("averages are written as PgBouncer's, for each second, transaction, query and assignment", () => {
  assert.equal(
    formatStats(totals(1), totals(3), 2000),
    'stats: 20 xacts/s, 40 queries/s, 4 client parses/s, 2 server parses/s, 8 binds/s, ' +
      'in 1000 B/s, out 3000 B/s, xact 100 us, query 75 us, wait 5 us',
  );
});

test('nothing at all is zeros, and totals that shrink are nothing', () => {
  const zeros =
    'stats: 0 xacts/s, 0 queries/s, 0 client parses/s, 0 server parses/s, 0 binds/s, in 0 B/s, out 0 B/s, ' +
    'xact 0 us, query 0 us, wait 0 us';
  assert.equal(formatStats(totals(1), totals(1), 1000), zeros);
  assert.equal(formatStats(totals(2), totals(1), 1000), zeros);
});
