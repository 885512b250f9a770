import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SuiteResult } from './suites.js';
import { judge } from './verdict.js';

const expected = [
  { suite: 'regress', mode: 'session', test: 'guc', reason: 'of its own' },
  { suite: 'regress', mode: 'transaction', test: 'temp', reason: 'another' },
] as const;
const session = { mode: 'session', pooler: 'Sluice' } as const;

function result(passed: string[], failed: string[]): SuiteResult {
  return {
    tests: ['boolean', 'guc', 'temp'],
    passed: new Set(passed),
    failed: new Set(failed),
    late: false,
    details: null,
  };
}

test('a failure that is expected is told with its reason', () => {
  const verdict = judge('regress', session, result(['boolean', 'temp'], ['guc']), expected);
  assert.equal(verdict.summary, 'regress, Sluice, session mode: 2 of 3');
  assert.deepEqual(verdict.differences, ['guc: failed (expected: of its own)']);
  assert.equal(verdict.asExpected, true);
});

test('a failure that is not expected in this mode counts', () => {
  const verdict = judge('regress', session, result(['boolean'], ['guc', 'temp']), expected);
  assert.ok(verdict.differences.includes('temp: failed'));
  assert.equal(verdict.asExpected, false);
});

test('a pass that is not expected counts', () => {
  const verdict = judge('regress', session, result(['boolean', 'guc', 'temp'], []), expected);
  assert.deepEqual(verdict.differences, ['guc: passed, but was expected to fail (of its own)']);
  assert.equal(verdict.asExpected, false);
});

test('unless it passes at times', () => {
  const atTimes = [{ ...expected[0], atTimes: true }] as const;
  const verdict = judge('regress', session, result(['boolean', 'guc', 'temp'], []), atTimes);
  assert.deepEqual(verdict.differences, []);
  assert.equal(verdict.asExpected, true);
});

test('a test that never ended counts as failed', () => {
  const late = { ...result(['boolean', 'temp'], []), late: true };
  const verdict = judge('regress', session, late, []);
  assert.deepEqual(verdict.differences, ['guc: did not come to its end']);
  assert.equal(verdict.asExpected, false);
});

test('nothing is expected of PgBouncer', () => {
  const pgbouncer = { mode: 'session', pooler: 'PgBouncer' } as const;
  const verdict = judge('regress', pgbouncer, result(['boolean', 'guc'], ['temp']), expected);
  assert.deepEqual(verdict.differences, ['temp: failed']);
  assert.equal(verdict.asExpected, true);
});

test('what is expected in transaction mode is expected there with routing, too', () => {
  const routing = { mode: 'routing', pooler: 'Sluice' } as const;
  const verdict = judge('regress', routing, result(['boolean', 'guc'], ['temp']), expected);
  assert.equal(verdict.summary, 'regress, Sluice, transaction mode, routing: 2 of 3');
  assert.deepEqual(verdict.differences, ['temp: failed (expected: another)']);
  assert.equal(verdict.asExpected, true);
});
