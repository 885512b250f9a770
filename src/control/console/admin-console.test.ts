import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { pino } from 'pino';
import type { RunningGateway } from '../gateway-process.js';
import { openConsole } from './admin-console.js';

test('takes averages every stats_period seconds, and leaves the reactor alone between', async () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  let looks = 0;
  const gateway = {
    config: { values: { stats_period: 60 } },
    answerConsole: () => {},
    snapshot: async () => {
      looks += 1;
      return { now: looks * 60_000, totals: [], latencies: [] };
    },
  } as unknown as RunningGateway;
  const unwanted = () => Promise.reject(new Error('nobody asks'));
  const log = { logger: pino({ level: 'silent' }) };
  const console = openConsole({ gateway, reload: unwanted, set: unwanted, shutDown: () => {}, log });
  const settle = () => new Promise(setImmediate);
  await settle();
  assert.equal(looks, 1);
  mock.timers.tick(59_999);
  await settle();
  assert.equal(looks, 1);
  mock.timers.tick(1);
  await settle();
  assert.equal(looks, 2);
  console.close();
  mock.timers.reset();
});
