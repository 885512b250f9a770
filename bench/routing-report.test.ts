import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Cell } from './matrix.js';
import type { RunResult } from './pgbench-run.js';
import { PGPOOL, pgpoolConfiguration } from './pgpool.js';
import { ONE_STANDBY, ROUTED, TWO_STANDBYS, UNROUTED } from './routing.js';
import { routingTables } from './routing-report.js';

function runOf(cpuUs: number, tps = 1000): RunResult {
  return {
    ...{ transactions: 1000, tps, averageMs: 1, p50Ms: 1, p99Ms: 2 },
    ...{ userUs: cpuUs, systemUs: 0, errors: 0, complaint: '' },
  };
}

function cellOf(runs: Record<string, RunResult[]>): Cell {
  const script = { name: 'pgbench -S', arguments: ['-S'] };
  const plan = { mode: 'simple', clients: 32, seconds: 5, rounds: 2, script } as const;
  return { plan, runs: new Map(Object.entries(runs)) };
}

describe('the tables of routing', () => {
  const [cost, scaling] = routingTables({
    cells: [
      cellOf({
        [PGPOOL]: [runOf(100), runOf(200)],
        [UNROUTED]: [runOf(20), runOf(40)],
        [ROUTED]: [runOf(25), runOf(50)],
      }),
    ],
    scaling: cellOf({ [ONE_STANDBY]: [runOf(1, 1000)], [TWO_STANDBYS]: [runOf(1, 1900)] }),
  });

  test('compare with Pgpool-II and with Sluice on one host', () => {
    const ratios = cost!.rows.map((row) => [row[2], row[7], row[8]]);
    assert.deepEqual(ratios, [
      [PGPOOL, '-', '5.00'],
      [UNROUTED, '0.20', '-'],
      [ROUTED, '0.25', '1.25'],
    ]);
    assert.deepEqual(cost!.rows[0]!.slice(0, 2), ['pgbench -S, simple', '32']);
  });

  test('say what a second standby brings', () => {
    assert.deepEqual(scaling!.rows, [
      [ONE_STANDBY, '1,000', '-'],
      [TWO_STANDBYS, '1,900', '1.90'],
    ]);
  });
});

test('Pgpool-II reads from the standbys alone, and its settings can be changed', () => {
  const nodes = [1, 2, 3].map((port) => ({ host: '127.0.0.1', port }));
  const text = pgpoolConfiguration(nodes, { client: 7, control: 8 }, '/tmp/x', { sr_check_period: 1 });
  assert.match(text, /^port = 7$/m);
  assert.match(text, /^sr_check_period = 1$/m);
  assert.match(text, /^load_balance_mode = 'on'$/m);
  assert.deepEqual(
    [...text.matchAll(/^backend_weight\d = (\d)$/gm)].map((match) => match[1]),
    ['0', '1', '1'],
  );
});
