import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readChannelCommands } from './channel-commands.js';

function read(sql: string) {
  const bytes = Buffer.from(sql);
  return readChannelCommands(bytes, 0, bytes.length);
}

test('the names of channels, as PostgreSQL folds and cuts them', () => {
  assert.deepEqual(read('LISTEN Jobs'), { listens: ['jobs'], unlistens: false });
  assert.deepEqual(read('/* a */ listen "Größe ""x""" ;'), { listens: ['Größe "x"'], unlistens: false });
  assert.deepEqual(read(`LISTEN ${'a'.repeat(70)}`).listens, ['a'.repeat(63)]);
});

test('several statements, whatever stands between them', () => {
  const sql = "BEGIN; LISTEN a; SELECT 'LISTEN b; '; LISTEN c; UNLISTEN d; COMMIT;";
  assert.deepEqual(read(sql), { listens: ['a', 'c'], unlistens: true });
  assert.deepEqual(read('UNLISTEN *'), { listens: [], unlistens: true });
  assert.deepEqual(read('SELECT 1'), { listens: [], unlistens: false });
});

test('what can not be known for certain', () => {
  for (const sql of ['LISTEN größe', `LISTEN "${'ß'.repeat(40)}"`, 'LISTEN U&"a"', "LISTEN a; SELECT 'open"])
    assert.equal(read(sql).listens, null, sql);
});
