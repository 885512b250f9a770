import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as Backend from '../../wire/backend.js';
import { buildNoticeResponse, type ErrorFields } from '../../wire/error-fields.js';
import { FORWARD, HEADER_BYTES, SWALLOW, WHOLE } from '../../wire/framing.js';
import { isCommittedLocally, silenced } from './local-commit.js';

test('a commit that was not replicated is known by where PostgreSQL says so, in any language', () => {
  const says = (fields: Partial<ErrorFields>): boolean => {
    const message = buildNoticeResponse({ severity: 'WARNING', code: '01000', message: 'x', ...fields });
    return isCommittedLocally(message, HEADER_BYTES, message.length);
  };
  const routine = 'SyncRepWaitForLSN';
  assert.ok(says({ message: 'Warten auf synchrone Replikation wird storniert', routine }));
  assert.ok(!says({ message: 'canceling wait for synchronous replication due to user request' }));
  // The session ends with this one.
  assert.ok(!says({ code: '57P01', routine }));
});

test('nothing is passed on up to the next ReadyForQuery', () => {
  const server: { special: object | null } = { special: {} };
  let verdict: number = FORWARD;
  const judge = silenced(() => verdict as typeof FORWARD, server);
  const bytes = new Uint8Array(0);
  assert.equal(judge(Backend.CommandComplete, 0, bytes, 0, 0), SWALLOW);
  verdict = WHOLE;
  assert.equal(judge(Backend.ReadyForQuery, 0, bytes, 0, 0), WHOLE);
  assert.notEqual(server.special, null);
  verdict = FORWARD;
  assert.equal(judge(Backend.ReadyForQuery, 0, bytes, 0, 0), FORWARD);
  assert.equal(server.special, null);
});
