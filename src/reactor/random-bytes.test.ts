import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RandomBytes } from './random-bytes.js';

test('gives the wanted number of bytes, and never the same', () => {
  const random = new RandomBytes();
  const seen = new Set<string>();
  for (let i = 0; i < 1000; i++) {
    const length = 8 + ((i * 7) % 90);
    const taken = random.take(length);
    assert.equal(taken.length, length);
    seen.add(Buffer.from(taken.subarray(0, 8)).toString('hex'));
  }
  assert.equal(seen.size, 1000);
  assert.equal(random.take(0).length, 0);
});
