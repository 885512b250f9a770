import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Schedule } from './schedule.js';

const acts = (seed: number, count: number) => {
  const schedule = new Schedule(seed);
  return Array.from({ length: count }, () => schedule.next());
};

describe('the schedule of random troubles', () => {
  test('follows from its seed', () => {
    assert.deepEqual(acts(7, 50), acts(7, 50));
    assert.notDeepEqual(acts(7, 50), acts(8, 50));
  });

  test('brings every trouble, to primaries and standbys, alone and together', () => {
    const all = acts(1, 300);
    const names = new Set(all.flat().map(({ name }) => name));
    assert.equal(names.size, 15);
    assert.deepEqual([...new Set(all.map(({ length }) => length))].sort(), [1, 2, 3]);
    assert.deepEqual([...new Set(all.flat().map(({ victim }) => victim))].sort(), [0, 1, 2]);
  });
});
