import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SCRAM_KEYS_MAX } from './limits.js';
import { LearntScramKeys } from './scram-keys.js';

const keys = (byte: number) => ({
  clientKey: new Uint8Array(32).fill(byte),
  serverKey: new Uint8Array(32).fill(byte),
});
const salt = (byte: number) => new Uint8Array(16).fill(byte);

test('keys are found by user, salt and iterations, and by nothing less', () => {
  const learnt = new LearntScramKeys();
  learnt.learn('a b', { salt: salt(1), iterations: 4096 }, keys(1));
  assert.deepEqual(learnt.find('a b', salt(1), 4096), keys(1));
  assert.equal(learnt.find('a b', salt(2), 4096), null);
  assert.equal(learnt.find('a b', salt(1), 4097), null);
  assert.equal(learnt.find('a', salt(1), 4096), null);
  assert.deepEqual([learnt.has('a b'), learnt.has('a')], [true, false]);
});

test('the oldest are forgotten when there are too many', () => {
  const learnt = new LearntScramKeys();
  for (let i = 0; i <= SCRAM_KEYS_MAX; i++)
    learnt.learn(`user ${i}`, { salt: salt(1), iterations: 1 }, keys(1));
  assert.deepEqual([learnt.has('user 0'), learnt.has('user 1')], [false, true]);
  assert.equal(learnt.find('user 0', salt(1), 1), null);
});
