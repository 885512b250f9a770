import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type RenewalAttempt, renewByAttempts } from './renewal.js';
import { StoreError } from './store.js';

const SILENT = new StoreError('unknown', 'no answer');

describe('renewing by attempts', () => {
  const times = (nextMs: number, limitMs = 60_000) => ({ nextMs, limitMs, clock: () => performance.now() });

  test('a member that is slow is joined by the next one, and keeps its chance', async () => {
    const asked: number[] = [];
    let answer: (text: string) => void = () => {};
    const attempt: RenewalAttempt<string> = (member) => {
      asked.push(member);
      if (asked.length === 3) answer('late');
      return new Promise((resolve) => {
        if (asked.length === 1) answer = resolve;
      });
    };
    assert.equal(await renewByAttempts(2, attempt, times(1)), 'late');
    assert.deepEqual(asked, [0, 1, 0]);
  });

  test('a member that fails is followed by the next one at once; when all have, it is over', async () => {
    const asked: number[] = [];
    const attempt: RenewalAttempt<string> = async (member) => {
      asked.push(member);
      throw SILENT;
    };
    await assert.rejects(renewByAttempts(3, attempt, times(60_000)), SILENT);
    assert.deepEqual(asked, [0, 1, 2]);
  });

  test('a store that refuses is not asked again', async () => {
    const denied = new StoreError('denied', 'wrong password');
    let asked = 0;
    const attempt: RenewalAttempt<string> = async () => {
      asked++;
      throw denied;
    };
    await assert.rejects(renewByAttempts(3, attempt, times(60_000)), denied);
    assert.equal(asked, 1);
  });

  test('no attempt has more time than is left', async () => {
    const limits: number[] = [];
    let now = 0;
    let fail: (error: StoreError) => void = () => {};
    // The time goes on by 40 ms with each attempt; the first stays open until the third has failed.
    const attempt: RenewalAttempt<string> = (_, limitMs) => {
      limits.push(limitMs);
      now += 40;
      if (limits.length < 3) {
        return new Promise((_resolve, reject) => {
          const earlier = fail;
          fail = (error) => {
            earlier(error);
            reject(error);
          };
        });
      }
      fail(SILENT);
      return Promise.reject(SILENT);
    };
    await assert.rejects(renewByAttempts(1, attempt, { nextMs: 1, limitMs: 100, clock: () => now }), SILENT);
    assert.deepEqual(limits, [100, 60, 20]);
  });
});
