import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readOutcome, testsOfSchedule } from './regress-output.js';

test('lines of PostgreSQL 15 and before', () => {
  assert.deepEqual(readOutcome('test test_setup                   ... ok          293 ms'), {
    test: 'test_setup',
    passed: true,
  });
  assert.deepEqual(readOutcome('     guc                          ... FAILED      120 ms'), {
    test: 'guc',
    passed: false,
  });
  const crashed =
    '     temp                         ... FAILED (test process exited with exit code 2)      9 ms';
  assert.deepEqual(readOutcome(crashed), { test: 'temp', passed: false });
});

test('lines of PostgreSQL 16 and after', () => {
  assert.deepEqual(readOutcome('ok 12        + float8                                   51 ms'), {
    test: 'float8',
    passed: true,
  });
  assert.deepEqual(readOutcome('not ok 1     - test_setup                              320 ms'), {
    test: 'test_setup',
    passed: false,
  });
});

test('other lines tell of no test', () => {
  for (const line of [
    'parallel group (20 tests):  varchar char name',
    '# parallel group (20 tests):  varchar char name',
    '============== running regression test queries        ==============',
    ' 3 of 217 tests failed.',
    '1..222',
  ]) {
    assert.equal(readOutcome(line), null, line);
  }
});

test('the tests of a schedule', () => {
  const schedule = '# Comment: test: no\ntest: test_setup\n\ntest: boolean char\tname\n';
  assert.deepEqual(testsOfSchedule(schedule), ['test_setup', 'boolean', 'char', 'name']);
});
