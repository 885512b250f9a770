import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ServerConnection } from '../server/server-connection.js';
import type { Session } from '../session/session.js';
import { type AligningPool, alignAgain } from './alignment.js';

test('a link that ends while its client’s pool is held gives its server connection back to whose it is', () => {
  const done: string[] = [];
  // Of another pool: that of a standby.
  const server = {
    ...{ linkEndsWhenIdle: true, isPinned: false, isClean: true },
    releaseIfIdle: () => done.push('released'),
  } as unknown as ServerConnection;
  const client = { listener: null, hasMore: true } as unknown as Session;
  const pool = {
    isHeld: true,
    align: () => {
      done.push('aligned');
      return true;
    },
  } as unknown as AligningPool;
  assert.ok(alignAgain(pool, client, server));
  assert.deepEqual(done, ['released']);
  assert.ok(alignAgain({ ...pool, isHeld: false }, client, server));
  assert.deepEqual(done, ['released', 'aligned']);
});
