import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SignalQueue } from './signal-queue.js';

test('signals come in their order, and a storm of SIGHUP as one', async () => {
  const queue = new SignalQueue(['SIGHUP', 'SIGUSR2']);
  for (const signal of ['SIGHUP', 'SIGHUP', 'SIGHUP', 'SIGUSR2', 'SIGUSR2', 'SIGHUP'] as const) {
    process.emit(signal, signal);
  }
  const got = [];
  for (let i = 0; i < 4; i++) got.push(await queue.next());
  assert.deepEqual(got, ['SIGHUP', 'SIGUSR2', 'SIGUSR2', 'SIGHUP']);
  queue.close();
});
