import assert from 'node:assert/strict';
import { test } from 'node:test';
import { machineSlug } from './machine.js';
import { matrixSeconds, planCells, rotated } from './matrix.js';

test('planCells splits the rounds at one client into short ones', () => {
  assert.deepEqual(planCells(['simple', 'prepared'], [1, 32], 5, 5), [
    { mode: 'simple', clients: 1, rounds: 25, seconds: 1 },
    { mode: 'simple', clients: 32, rounds: 5, seconds: 5 },
    { mode: 'prepared', clients: 1, rounds: 25, seconds: 1 },
    { mode: 'prepared', clients: 32, rounds: 5, seconds: 5 },
  ]);
});

test('planCells never plans a run that is shorter than pgbench can do', () => {
  assert.deepEqual(planCells(['simple'], [1], 2, 1), [
    { mode: 'simple', clients: 1, rounds: 10, seconds: 1 },
  ]);
});

test('matrixSeconds is at least the duration of all runs', () => {
  const plans = planCells(['simple'], [1, 32], 5, 5);
  const seconds = matrixSeconds(plans, 3);
  assert.ok(seconds >= 3 * 50 && seconds < 3 * 70, `${seconds} s`);
});

test('rotated lets each begin in turn', () => {
  assert.deepEqual(rotated(['a', 'b', 'c'], 0), ['a', 'b', 'c']);
  assert.deepEqual(rotated(['a', 'b', 'c'], 1), ['b', 'c', 'a']);
  assert.deepEqual(rotated(['a', 'b', 'c'], 5), ['c', 'a', 'b']);
  assert.deepEqual(rotated([], 3), []);
});

test('machineSlug is fit for a file name', () => {
  assert.equal(machineSlug('Intel(R) Xeon(R) CPU @ 2.20GHz', 4), 'intel-r-xeon-r-cpu-2-20ghz-4-cores');
});
