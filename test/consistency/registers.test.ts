/** The check of registers on histories that were made by hand: each anomaly is found, and what is right passes. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { RegisterOperation } from './history.js';
import { checkRegisters, type RegisterFindings } from './registers.js';

const isPrimary = (node: string) => node === 'primary';

function write(
  session: number,
  value: number | null,
  start: number,
  end: number,
  key = 1,
): RegisterOperation {
  return { kind: 'write', session, key, value, start, end, form: 'simple' };
}

function read(
  session: number,
  value: number,
  start: number,
  end: number,
  node = 'standby',
  key = 1,
): RegisterOperation {
  return { kind: 'read', session, key, value, start, end, node, form: 'simple' };
}

function check(operations: readonly RegisterOperation[], initial: [number, number][] = []): RegisterFindings {
  return checkRegisters({ initial: new Map(initial), operations }, isPrimary);
}

function counts({ stale, ownWrites, backwards, ahead, impossible }: RegisterFindings): number[] {
  return [stale, ownWrites, backwards, ahead, impossible].map((findings) => findings.length);
}

const CLEAN = [0, 0, 0, 0, 0];

describe('histories of registers', () => {
  test('a read of what was acknowledged before, or of something later, is right', () => {
    const findings = check([write(1, 1, 0, 10), read(2, 1, 11, 20), write(1, 2, 12, 30), read(2, 2, 21, 25)]);
    assert.deepEqual(counts(findings), CLEAN);
    assert.deepEqual([findings.reads, findings.writes], [2, 2]);
  });

  test('a read that runs while the write does may show it or not', () => {
    assert.deepEqual(counts(check([write(1, 1, 0, 10), read(2, 0, 10, 20), read(3, 1, 1, 9)])), CLEAN);
  });

  test('a read that misses an acknowledged write is stale, for as long as the first that it misses', () => {
    const { stale, ...others } = check([write(1, 1, 0, 10), write(1, 2, 15, 20), read(2, 0, 50, 60)]);
    assert.equal(stale.length, 1);
    assert.equal(stale[0]!.ageMs, 40);
    assert.match(
      stale[0]!.text,
      /session 2 read 0 of register 1 on standby by simple .* 2 had been acknowledged/,
    );
    assert.deepEqual(counts({ ...others, stale: [] }), CLEAN);
  });

  test('acknowledgements may come in another order than values', () => {
    const operations = [write(1, 1, 0, 90), write(2, 2, 1, 10), read(3, 1, 50, 60)];
    assert.deepEqual(counts(check(operations)), [1, 0, 0, 0, 0]);
  });

  test('registers are independent of each other, and may begin with a value', () => {
    const operations = [write(1, 6, 0, 10, 1), read(2, 3, 20, 30, 'standby', 2)];
    assert.deepEqual(
      counts(
        check(operations, [
          [1, 5],
          [2, 3],
        ]),
      ),
      CLEAN,
    );
    assert.deepEqual(counts(check([write(1, 6, 0, 10), read(2, 5, 20, 30)], [[1, 5]])), [1, 0, 0, 0, 0]);
  });

  test("a session's own write that it doesn't see is told apart from others' writes", () => {
    assert.deepEqual(counts(check([write(1, 1, 0, 10), read(1, 0, 20, 30)])), [1, 1, 0, 0, 0]);
  });

  test('a session that goes back is found, though nothing was acknowledged', () => {
    const operations = [write(1, 1, 0, 100), read(2, 1, 10, 20), read(2, 0, 30, 40)];
    assert.deepEqual(counts(check(operations)), [0, 0, 1, 0, 0]);
    assert.deepEqual(counts(check([write(1, 1, 0, 100), read(2, 1, 10, 20), read(3, 0, 30, 40)])), CLEAN);
  });

  test('a standby that shows a commit before the primary does is no fault of who routes', () => {
    const seen = [write(1, 1, 0, 100), read(2, 1, 10, 20)];
    assert.deepEqual(counts(check([...seen, read(2, 0, 30, 40, 'primary')])), [0, 0, 0, 1, 0]);
    // But once the commit is acknowledged the primary shows it.
    const late = [write(1, 1, 0, 25), read(2, 1, 10, 20), read(2, 0, 30, 40, 'primary')];
    assert.deepEqual(counts(check(late)), [1, 0, 1, 0, 0]);
  });

  test('a value that nobody has begun to write is found', () => {
    assert.deepEqual(counts(check([read(2, 1, 0, 10), write(1, 1, 20, 30)])), [0, 0, 0, 0, 1]);
  });

  test('a write of unknown outcome obliges nobody, and may be seen', () => {
    const operations = [write(1, null, 0, 10), read(2, 0, 20, 30), read(3, 1, 20, 30)];
    assert.deepEqual(counts(check(operations)), CLEAN);
  });
});
