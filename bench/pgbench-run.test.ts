import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { countAborts, parseReport } from './pgbench-run.js';

describe('parseReport', () => {
  test('reads the report of PostgreSQL 15', () => {
    const text = `pgbench (15.18)
transaction type: <builtin: select only>
scaling factor: 10
query mode: prepared
number of clients: 32
number of threads: 2
maximum number of tries: 1
duration: 5 s
number of transactions actually processed: 123456
number of failed transactions: 7 (0.006%)
latency average = 1.296 ms
initial connection time = 40.123 ms
tps = 24690.123456 (without initial connection time)
`;
    assert.deepEqual(parseReport(text), {
      transactions: 123456,
      failed: 7,
      averageMs: 1.296,
      tps: 24690.123456,
    });
  });

  test('takes the tps without connecting from PostgreSQL 13, which prints two', () => {
    const text = `number of transactions actually processed: 10
latency average = 1.000 ms
tps = 9.000000 (including connections establishing)
tps = 10.500000 (excluding connections establishing)
`;
    assert.deepEqual(parseReport(text), { transactions: 10, failed: 0, averageMs: 1, tps: 10.5 });
  });

  test('of a run that did nothing has no latency', () => {
    assert.deepEqual(parseReport('number of transactions actually processed: 0\n'), {
      transactions: 0,
      failed: 0,
      averageMs: null,
      tps: null,
    });
  });
});

test('countAborts counts clients that gave up', () => {
  const text = `pgbench: error: client 3 aborted in command 1 (SQL) of script 0; perhaps the backend died
pgbench: error: client 17 script 0 aborted in command 1 query 0: ERROR:  boom
pgbench: error: Run was aborted; the above results are incomplete.
`;
  assert.equal(countAborts(text), 2);
  assert.equal(countAborts(''), 0);
});
