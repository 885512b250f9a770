import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { type AskedKey, CancelKeys, readCancelKey, withOneHopLess } from './cancel-keys.js';

const keys = new CancelKeys(randomBytes);
const PEER_IDS = fc.integer({ min: 1, max: 0xffff });

function asked(processId: number, secret: Uint8Array): AskedKey {
  const key = readCancelKey(processId, secret);
  assert.ok(key);
  return key;
}

describe('cancel keys', () => {
  test('a key is its client’s, whatever its length, and names the process', () => {
    fc.assert(
      fc.property(PEER_IDS, fc.boolean(), (peerId, isLong) => {
        const key = keys.issue(peerId, isLong, null);
        const secret = keys.secret(key, peerId);
        const read = asked(key.processId, secret);
        assert.equal(secret.length, isLong ? 32 : 4);
        assert.ok(key.processId >= 0);
        assert.equal(read.peerId, peerId);
        assert.equal(read.hops, 3);
        assert.ok(keys.matches(key, read) && keys.isGenuine(read));
        assert.ok(!keys.matches(keys.issue(peerId, isLong, null), read));
      }),
    );
  });

  test('short ones lie as PgBouncer’s', () => {
    const key = keys.issue(0x1234, false, 77);
    const bytes = Buffer.alloc(8);
    bytes.writeInt32BE(key.processId);
    keys.secret(key, 0x1234).copy(bytes, 4);
    assert.deepEqual([bytes[1], bytes[2], bytes[7]! & 3], [0x34, 0x12, 3]);
  });

  test('the server’s process id is shown where there is room for it', () => {
    assert.equal(keys.issue(0, false, 4711).processId, 4711);
    assert.equal(keys.issue(9, true, 4711).processId, 4711);
    assert.equal(readCancelKey(4711, keys.secret(keys.issue(9, true, 4711), 9))?.peerId, 9);
  });

  test('a key is passed on three times at most, and remains its client’s', () => {
    for (const isLong of [false, true]) {
      const key = keys.issue(5, isLong, null);
      let read = asked(key.processId, keys.secret(key, 5));
      for (const left of [2, 1, 0]) {
        read = asked(key.processId, withOneHopLess(read));
        assert.equal(read.hops, left);
        assert.ok(keys.matches(key, read) && keys.isGenuine(read));
      }
    }
  });

  test('a long key that was tampered with, or is another process’s, is not genuine', () => {
    const key = keys.issue(5, true, null);
    const secret = keys.secret(key, 5);
    for (let at = 0; at < secret.length; at++) {
      const changed = Uint8Array.from(secret);
      changed[at]! ^= 1;
      // The byte that says how often it may travel changes on the way.
      assert.equal(keys.isGenuine(asked(key.processId, changed)), at === 6, `byte ${at}`);
    }
    assert.equal(new CancelKeys(randomBytes).isGenuine(asked(key.processId, secret)), false);
  });

  test('the beginning of a long key is no short one', () => {
    const key = keys.issue(0, true, null);
    assert.equal(keys.matches(key, asked(key.processId, keys.secret(key, 0).subarray(0, 4))), false);
  });

  test('other lengths are nobody’s', () => {
    for (const length of [5, 8, 31, 33, 256]) assert.equal(readCancelKey(1, new Uint8Array(length)), null);
  });
});
