import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { collectDurations, latenciesOf } from './latency-log.js';

describe('collectDurations', () => {
  test('takes the third column', () => {
    const durations: number[] = [];
    collectDurations('0 1 213 0 1700000000 123456\n31 17 4821 0 1700000000 123999\n', durations);
    assert.deepEqual(durations, [213, 4821]);
  });

  test('appends, and accepts the optional columns', () => {
    const durations = [1];
    collectDurations('0 1 213 0 1700000000 123456 99 2\n', durations);
    assert.deepEqual(durations, [1, 213]);
  });

  test('leaves out failed and skipped transactions, and a line that was cut off', () => {
    const durations: number[] = [];
    collectDurations(
      '0 1 failed 0 1700000000 5\n0 2 skipped 0 1700000000 6\n0 3 77 0 1 2\n\n0 4 5',
      durations,
    );
    assert.deepEqual(durations, [77]);
  });
});

test('latenciesOf gives percentiles in ms', () => {
  const durations = Array.from({ length: 1000 }, (_, i) => 1000 - i);
  assert.deepEqual(latenciesOf(durations), { samples: 1000, p50Ms: 0.5, p99Ms: 0.99 });
});
