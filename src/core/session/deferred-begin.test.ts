import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildQuery } from '../../wire/client-messages.js';
import { deferredBegin } from './deferred-begin.js';

const deferred = (sql: string) => {
  const bytes = Buffer.from(`?${sql}\0`);
  return deferredBegin(bytes, 1, bytes.length - 1);
};

test('BEGIN is said to the primary as it came, and answered by its own word', () => {
  for (const [sql, tag] of [
    ['BEGIN', 'BEGIN'],
    ['begin isolation level serializable, read only;', 'BEGIN'],
    ["-- start\n/* START */ Begin /*traceparent='00-1'*/", 'BEGIN'],
    ['sTaRt TRANSACTION', 'START TRANSACTION'],
    [' /* begin */start transaction read write', 'START TRANSACTION'],
  ] as const) {
    const begin = deferred(sql);
    assert.deepEqual(begin?.query, buildQuery(sql));
    assert.ok(Buffer.from(begin.answer).includes(`${tag}\0Z`), sql);
    assert.equal(begin.answer.at(-1), 'T'.charCodeAt(0));
  }
});

test('one that is long, or not in ASCII, goes to the server at once', () => {
  assert.equal(deferred(`BEGIN /*${'x'.repeat(300)}*/`), null);
  assert.equal(deferred('BEGIN /* ü */'), null);
});
