import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parsePostmasterFile } from './postmaster-file.js';

const WHOLE = '4711\n/srv/node1/data\n1700000000\n5433\n/srv/run\n127.0.0.1\n  1234567   32769\nready   \n';

test('a whole file is read', () => {
  assert.deepEqual(parsePostmasterFile(WHOLE), {
    pid: 4711,
    dataDirectory: '/srv/node1/data',
    port: 5433,
    socketFolder: '/srv/run',
    status: 'ready',
  });
});

test('a file cut off anywhere never gives another process id or an invented status', () => {
  for (let length = 0; length < WHOLE.length; length++) {
    const file = parsePostmasterFile(WHOLE.slice(0, length));
    if (length === 0) assert.equal(file, null);
    else assert.ok('4711'.startsWith(String(file?.pid)), `cut at ${length}: ${file?.pid}`);
    if (length < WHOLE.indexOf('ready') + 5) assert.equal(file?.status ?? null, null);
  }
});

test('garbage is no process', () => {
  assert.equal(parsePostmasterFile('hello\n'), null);
  assert.equal(parsePostmasterFile('0\n'), null);
});
