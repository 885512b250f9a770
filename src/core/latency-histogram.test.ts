import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  bucketMiddle,
  bucketOf,
  LATENCY_BUCKETS,
  LatencyHistogram,
  latencyGrowth,
  latencyPercentiles,
} from './latency-histogram.js';

describe('a latency histogram', () => {
  test('keeps every duration within 7 % of itself', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 31 - 1 }), (us) => {
        const bucket = bucketOf(us);
        assert.ok(bucket >= 0 && bucket < LATENCY_BUCKETS);
        assert.ok(Math.abs(bucketMiddle(bucket) - us) <= us * 0.07);
      }),
    );
  });

  test('orders buckets as durations', () => {
    for (let us = 1; us < 100_000; us++) assert.ok(bucketOf(us) >= bucketOf(us - 1));
  });

  test('tells percentiles', () => {
    const histogram = new LatencyHistogram();
    for (let ms = 1; ms <= 1000; ms++) histogram.add(ms);
    const [p50, p95, p99] = latencyPercentiles(histogram.counts, [50, 95, 99]) as number[];
    for (const [found, expected] of [
      [p50, 500_000],
      [p95, 950_000],
      [p99, 990_000],
    ] as const) {
      assert.ok(Math.abs(found! - expected) <= expected * 0.07, `${found} is not about ${expected}`);
    }
    assert.deepEqual(latencyPercentiles(new LatencyHistogram().counts, [50]), [null]);
  });

  test('takes what is longer than it can tell, and less than a microsecond', () => {
    const histogram = new LatencyHistogram();
    histogram.add(1e12);
    histogram.add(0.0001);
    assert.equal(histogram.counts[LATENCY_BUCKETS - 1], 1);
    assert.equal(histogram.counts[0], 1);
  });

  test('grows between two looks, also where a count wraps', () => {
    const earlier = new Uint32Array(LATENCY_BUCKETS);
    earlier[7] = 2 ** 32 - 1;
    const later = earlier.slice();
    later[7]! += 3;
    assert.equal(latencyGrowth(earlier, later)[7], 3);
    assert.equal(latencyGrowth(null, later)[7], 2);
  });
});
