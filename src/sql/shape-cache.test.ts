import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ShapeCache } from './shape-cache.js';

describe('the cache of shapes', () => {
  test('gives what was put in, and counts', () => {
    const cache = new ShapeCache<{ n: number }>(64);
    cache.set(1, 2, { n: 12 });
    cache.set(1, 3, { n: 13 });
    cache.set(1, 2, { n: 120 });
    assert.deepEqual(cache.get(1, 2), { n: 120 });
    assert.deepEqual(cache.get(1, 3), { n: 13 });
    assert.equal(cache.get(2, 1), null);
    assert.equal(cache.get(0, 0), null);
    assert.deepEqual([cache.size, cache.hits, cache.misses, cache.evictions], [2, 2, 2, 0]);
    cache.clear();
    assert.equal(cache.get(1, 2), null);
    assert.equal(cache.size, 0);
  });

  test('never holds more than its capacity', () => {
    const cache = new ShapeCache<{ n: number }>(100);
    assert.equal(cache.capacity, 128);
    for (let n = 0; n < 10_000; n += 1) cache.set(Math.imul(n, 0x9e3779b1), n, { n });
    assert.ok(cache.size <= 128);
    assert.equal(cache.evictions, 10_000 - cache.size);
  });

  test('what is asked for outlives what is not', () => {
    const cache = new ShapeCache<{ n: number }>(8);
    const wanted = { n: 1 };
    cache.set(1, 1, wanted);
    for (let n = 2; n < 1000; n += 1) {
      cache.set(n, n, { n });
      assert.equal(cache.get(1, 1), wanted);
    }
  });
});
