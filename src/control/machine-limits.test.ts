import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseOpenFiles } from './machine-limits.js';

test('reads the soft limit of open files', () => {
  const head = 'Limit                     Soft Limit           Hard Limit           Units     \n';
  assert.equal(
    parseOpenFiles(`${head}Max open files            1024                 524288               files     \n`),
    1024,
  );
  assert.equal(
    parseOpenFiles(`${head}Max open files            unlimited            unlimited            files     \n`),
    null,
  );
  assert.equal(parseOpenFiles(''), null);
});
