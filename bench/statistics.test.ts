import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { median, pairedRatio, percentile, spread } from './statistics.js';

describe('median', () => {
  test('is the middle of an odd number of values, whatever their order', () => {
    assert.equal(median([9, 1, 5]), 5);
  });

  test('is the mean of the two in the middle of an even number', () => {
    assert.equal(median([10, 1, 4, 3]), 3.5);
  });

  test('sorts numbers as numbers', () => {
    assert.equal(median([100, 9, 20]), 20);
  });

  test('of nothing is not a number, and leaves its argument alone', () => {
    assert.ok(Number.isNaN(median([])));
    const values = [3, 1, 2];
    median(values);
    assert.deepEqual(values, [3, 1, 2]);
  });
});

describe('pairedRatio', () => {
  test('is the median of the ratios, not the ratio of the medians', () => {
    // Ratio of the medians: 20/20 = 1. Pair by pair ours is always half of the other.
    assert.deepEqual(pairedRatio([5, 20, 30], [10, 40, 60]), { median: 0.5, min: 0.5, max: 0.5 });
    assert.deepEqual(pairedRatio([10, 20, 60], [20, 20, 20]), { median: 1, min: 0.5, max: 3 });
  });

  test('leaves out rounds in which either run failed', () => {
    assert.deepEqual(pairedRatio([null, 6, 9], [4, null, 3]), { median: 3, min: 3, max: 3 });
    assert.equal(pairedRatio([null], [1]), null);
    assert.equal(pairedRatio([1], [0]), null);
  });
});

test('spread of no values is null', () => {
  assert.equal(spread([]), null);
  assert.deepEqual(spread([4]), { median: 4, min: 4, max: 4 });
});

describe('percentile', () => {
  const hundred = Array.from({ length: 100 }, (_, i) => i + 1);

  test('is a value that occurs, by nearest rank', () => {
    assert.equal(percentile(hundred, 0.5), 50);
    assert.equal(percentile(hundred, 0.99), 99);
    assert.equal(percentile(hundred, 1), 100);
    assert.equal(percentile([7], 0.99), 7);
  });

  test('of nothing is not a number', () => {
    assert.ok(Number.isNaN(percentile([], 0.5)));
  });
});
