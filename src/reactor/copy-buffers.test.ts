import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CopyBuffers } from './copy-buffers.js';

test('gives a buffer again that was given back, for lengths that it fits', () => {
  const buffers = new CopyBuffers();
  const first = buffers.take(40_000);
  assert.equal(first.length, 65_536);
  assert.notEqual(buffers.take(40_000), first);
  buffers.giveBack(first);
  assert.notEqual(buffers.take(20_000), first, 'at most half of it would be used');
  assert.equal(buffers.take(65_536), first);
});

test('keeps neither small nor huge ones, and no more than it may', () => {
  const buffers = new CopyBuffers();
  for (const length of [0, 1, 100, 100_000]) {
    const buffer = buffers.take(length);
    assert.equal(buffer.length, length);
    buffers.giveBack(buffer);
    assert.notEqual(buffers.take(length), buffer);
  }
  const many = Array.from({ length: 100 }, () => buffers.take(65_536));
  for (const buffer of many) buffers.giveBack(buffer);
  const kept = Array.from({ length: 100 }, () => buffers.take(65_536)).filter((one) => many.includes(one));
  assert.equal(kept.length, 16);
});
