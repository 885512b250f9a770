import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildCommandComplete } from '../../wire/server-messages.js';
import { rowsOfTag } from './command-tags.js';

test('the rows of a command are the number behind its tag', () => {
  for (const [tag, rows] of [
    ['SELECT 0', 0],
    ['SELECT 7', 7],
    ['INSERT 0 120', 120],
    ['COPY 9007199254740991', Number.MAX_SAFE_INTEGER],
    ['BEGIN', 0],
    ['', 0],
  ] as const) {
    const message = buildCommandComplete(tag);
    const bytes = new Uint8Array([1, 2, ...message, 0x39]);
    assert.equal(rowsOfTag(bytes, 2, message.length), rows, tag);
  }
});
