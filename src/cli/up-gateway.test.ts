import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readable } from './up-gateway.js';

test('a warning names whom it is about', () => {
  const subject = { side: 'client', id: 1, database: 'app', user: 'anna', address: '127.0.0.1:5' };
  const line = JSON.stringify({ level: 'warn', time: 'now', subject, msg: 'pooler error: no', count: 2 });
  assert.equal(readable(line), 'gateway: pooler error: no (client anna@127.0.0.1:5, database app, count=2)');
  assert.equal(readable(JSON.stringify({ level: 'warn', msg: 'late' })), 'gateway: late');
});
