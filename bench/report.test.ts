import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Cell } from './matrix.js';
import type { RunResult } from './pgbench-run.js';
import { bigResultTable, formatRatio, idleTable, matrixTable, summaryTable } from './report.js';

function runOf(figures: Partial<RunResult>): RunResult {
  return {
    transactions: 1000,
    tps: 10_000,
    averageMs: 1,
    p50Ms: 0.9,
    p99Ms: 2,
    userUs: null,
    systemUs: null,
    errors: 0,
    complaint: '',
    ...figures,
  };
}

function cellOf(mode: 'simple' | 'prepared', runs: Record<string, RunResult[]>): Cell {
  return { plan: { mode, clients: 32, seconds: 5, rounds: 2 }, runs: new Map(Object.entries(runs)) };
}

const cell = cellOf('simple', {
  direct: [runOf({ tps: 40_000 }), runOf({ tps: 44_000 })],
  PgBouncer: [
    runOf({ userUs: 10, systemUs: 30, averageMs: 2 }),
    runOf({ userUs: 10, systemUs: 40, averageMs: 2 }),
  ],
  'Sluice uring': [
    runOf({ userUs: 2, systemUs: 18, averageMs: 1, errors: 3 }),
    runOf({ userUs: 5, systemUs: 20, averageMs: 2 }),
  ],
});

describe('matrixTable', () => {
  const table = matrixTable('simple', [cell, cellOf('prepared', {})]);

  test('has a row a target, of its mode only', () => {
    assert.deepEqual(
      table.rows.map((row) => row[1]),
      ['direct', 'PgBouncer', 'Sluice uring'],
    );
  });

  test('gives medians, split CPU time, paired ratios and the sum of errors', () => {
    const row = Object.fromEntries(table.header.map((name, i) => [name, table.rows[2]![i]]));
    assert.equal(row['CPU us/tx'], '22.5');
    assert.equal(row['user + system'], '3.5 + 19.0');
    assert.equal(row['CPU / PgBouncer'], '0.50'); // 20/40 and 25/50
    assert.equal(row['latency / PgBouncer'], '0.75 (0.50-1.00)');
    assert.equal(row.errors, '3');
  });

  test('has no CPU time for PostgreSQL itself', () => {
    assert.equal(table.rows[0]![2], '42,000');
    assert.deepEqual(table.rows[0]!.slice(6, 9), ['-', '-', '-']);
  });

  test('without PgBouncer has no ratios', () => {
    const alone = cellOf('simple', { 'Sluice node': [runOf({ userUs: 1, systemUs: 1 })] });
    assert.deepEqual(matrixTable('simple', [alone]).rows[0]!.slice(8, 10), ['-', '-']);
  });
});

test('summaryTable has one column a workload and only Sluice in its rows', () => {
  const table = summaryTable([cell]);
  assert.deepEqual(table.header, ['', 'simple 32']);
  assert.deepEqual(table.rows, [['Sluice uring', '0.50']]);
  const alone = cellOf('simple', { 'Sluice node': [runOf({ userUs: 1, systemUs: 1 })] });
  assert.deepEqual(summaryTable([alone]).rows, []);
});

test('formatRatio shows the extremes only where they differ', () => {
  assert.equal(formatRatio({ median: 0.654, min: 0.6, max: 0.7 }), '0.65 (0.60-0.70)');
  assert.equal(formatRatio({ median: 1, min: 1, max: 1 }), '1.00');
  assert.equal(formatRatio(null), '-');
});

test('bigResultTable compares throughput and CPU, and shows the worst growth in MiB', () => {
  const transfer = (rate: number, cpu: number | null) => ({
    megabytesPerSecond: rate,
    userMsPerGigabyte: cpu,
    systemMsPerGigabyte: cpu,
  });
  const table = bigResultTable(
    1,
    new Map([
      ['direct', [transfer(1000, null)]],
      ['PgBouncer', [transfer(500, 400)]],
      ['Sluice uring', [transfer(750, 100)]],
    ]),
    new Map([['Sluice uring', [1 << 20, 3 << 20]]]),
    5,
  );
  assert.deepEqual(table.rows[0], ['direct', '1,000', '-', '2.00', '-', '-']);
  assert.deepEqual(table.rows[2], ['Sluice uring', '750', '200', '1.50', '0.25', '3.0']);
});

test('idleTable shows KiB per client', () => {
  const costs = new Map([
    ['PgBouncer', [{ baseBytes: 8 << 20, loggedInBytes: 1024, afterQueryBytes: 2048 }]],
  ]);
  assert.deepEqual(idleTable(5000, costs).rows, [['PgBouncer', '1.00', '2.00', '8.0']]);
});
