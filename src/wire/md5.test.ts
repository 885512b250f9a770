import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { md5Password, md5Response, verifyMd5Response } from './md5.js';

describe('md5', () => {
  // The values were computed with PostgreSQL's own md5() function.
  const stored = 'md53175bce1d3201d16594cebf9d7eb3f9d';
  const salt = Uint8Array.of(1, 2, 3, 4);

  test('hashes password and user', () => {
    assert.equal(md5Password('postgres', 'postgres'), stored);
  });

  test('an answer fits its salt and no other', () => {
    const answer = md5Response(stored, salt);
    assert.match(answer, /^md5[0-9a-f]{32}$/);
    assert.ok(verifyMd5Response(stored, salt, answer));
    assert.ok(!verifyMd5Response(stored, Uint8Array.of(1, 2, 3, 5), answer));
  });

  test('anything else is refused', () => {
    for (const answer of [
      '',
      'md5',
      stored,
      'é'.repeat(35),
      `${md5Response(stored, salt)}0`,
      '\udcff'.repeat(35),
    ]) {
      assert.ok(!verifyMd5Response(stored, salt, answer), answer);
    }
  });
});
