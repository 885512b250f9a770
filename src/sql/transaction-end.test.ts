import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type TransactionEnd, transactionEnd } from './transaction-end.js';

const TEXTS: readonly (readonly [string, TransactionEnd])[] = [
  ['COMMIT', 'commit'],
  [' -- now\n commit work;', 'commit'],
  ['End Transaction ; ;', 'commit'],
  ['ROLLBACK', 'rollback'],
  ['/* x */ abort', 'rollback'],
  ['ROLLBACK TO a', 'other'],
  ['rollback and chain', 'other'],
  ["COMMIT PREPARED 'x'", 'other'],
  ['COMMIT; SELECT 1', 'other'],
  ['SELECT 1; COMMIT', null],
  ['committed', null],
  ['"commit"', null],
  ['', null],
];

test('the end of a transaction block is known by its text', () => {
  for (const [sql, end] of TEXTS) {
    const bytes = Buffer.from(`x${sql}y`);
    assert.equal(transactionEnd(bytes, 1, bytes.length - 1), end, sql);
  }
});
