/** The check of lists on histories that were made by hand: each anomaly is found, and what is right passes. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ListStep, ListTransaction } from './history.js';
import { checkLists, type ListFindings } from './lists.js';

const isPrimary = (node: string) => node === 'primary';
const append = (key: number, element: number): ListStep => ({ append: element, key });
const read = (key: number, ...elements: number[]): ListStep => ({ read: elements, key });

/** A transaction that is under way in ]start, end[. */
function transaction(
  session: number,
  start: number,
  end: number,
  steps: readonly ListStep[],
  more: Partial<ListTransaction> = {},
): ListTransaction {
  const node = steps.some((step) => 'append' in step) ? 'primary' : 'standby';
  return { session, steps, start, end, outcome: 'committed', node, ...more };
}

function check(transactions: readonly ListTransaction[], final: Record<number, number[]>): ListFindings {
  const entries = Object.entries(final).map(([key, elements]) => [Number(key), elements] as const);
  return checkLists({ transactions, final: new Map(entries) }, isPrimary);
}

/** Kinds with findings. */
function kinds({ isolation, stale, session, realTime }: ListFindings): string[] {
  return Object.entries({ isolation, stale, session, realTime }).flatMap(([kind, found]) =>
    found.length > 0 ? [kind] : [],
  );
}

function isolationText(findings: ListFindings): string {
  assert.deepEqual(kinds(findings), ['isolation']);
  return findings.isolation.map(({ text }) => text).join('\n');
}

describe('histories of lists', () => {
  test('what is right passes', () => {
    const findings = check(
      [
        transaction(1, 0, 10, [append(1, 11), append(2, 21)]),
        transaction(2, 11, 20, [read(1, 11), append(1, 12), read(1, 11, 12)]),
        transaction(3, 12, 19, [read(1, 11), read(2, 21)]),
        transaction(3, 21, 30, [read(1, 11, 12), read(2, 21)]),
      ],
      { 1: [11, 12], 2: [21] },
    );
    assert.deepEqual(kinds(findings), []);
    assert.deepEqual([findings.transactions, findings.reads], [4, 6]);
  });

  test('an element of an aborted transaction is found (G1a)', () => {
    const aborted = transaction(1, 0, 10, [append(1, 11)], { outcome: 'aborted' });
    const findings = check([aborted, transaction(2, 11, 20, [read(1, 11)])], {});
    assert.match(isolationText(findings), /session 2 .* has read 11 of list 1 of an aborted transaction/);
  });

  test('a state in the middle of a transaction is found (G1b)', () => {
    const findings = check(
      [transaction(1, 0, 30, [append(1, 11), append(1, 12)]), transaction(2, 1, 20, [read(1, 11)])],
      { 1: [11, 12] },
    );
    assert.match(isolationText(findings), /and not 12 of the same transaction/);
  });

  test('a transaction that does not see its own append, or whose reads differ, is found', () => {
    const unseen = check([transaction(1, 0, 10, [append(1, 11), read(1)])], { 1: [11] });
    assert.match(isolationText(unseen), /where its own steps make it \[11\]/);
    const moved = check(
      [transaction(1, 0, 10, [append(1, 11)]), transaction(2, 1, 20, [read(1), read(1, 11)])],
      { 1: [11] },
    );
    assert.match(isolationText(moved), /where its own steps make it \[\]/);
  });

  test('reads of different orders are found', () => {
    const writes = [transaction(1, 0, 30, [append(1, 11)]), transaction(2, 0, 30, [append(1, 12)])];
    const findings = check([...writes, transaction(3, 1, 20, [read(1, 12)])], { 1: [11, 12] });
    assert.match(isolationText(findings), /has read \[12\] of list 1, and others \[11\]/);
  });

  test('an element twice, one of nobody, and one that is lost are found', () => {
    const one = transaction(1, 0, 10, [append(1, 11)]);
    const twice = check([one, transaction(2, 1, 20, [read(1, 11, 11)])], { 1: [11] });
    assert.match(twice.isolation[0]!.text, /twice/);
    const strange = check([transaction(2, 1, 20, [read(1, 7)])], {});
    assert.match(isolationText(strange), /nobody has appended/);
    assert.match(isolationText(check([one], {})), /appended 11 to list 1, and it is lost/);
  });

  test('what was appended by a transaction of unknown outcome may be there or not', () => {
    const unknown = transaction(1, 0, 10, [append(1, 11)], { outcome: 'unknown' });
    assert.deepEqual(kinds(check([unknown, transaction(2, 20, 30, [read(1)])], {})), []);
    assert.deepEqual(kinds(check([unknown, transaction(2, 20, 30, [read(1, 11)])], { 1: [11] })), []);
  });

  test('two transactions that each see the other are a cycle (G1c)', () => {
    const findings = check(
      [
        transaction(1, 0, 30, [append(1, 11), read(2, 21)]),
        transaction(2, 0, 30, [append(2, 21), read(1, 11)]),
      ],
      { 1: [11], 2: [21] },
    );
    assert.match(isolationText(findings), /each comes before itself: session/);
  });

  test('a snapshot that shows a write and not the one before it is a cycle (G-single)', () => {
    const findings = check(
      [
        transaction(1, 0, 100, [append(1, 11)]),
        transaction(2, 0, 100, [append(2, 21), read(1, 11)]),
        transaction(3, 0, 100, [read(1), read(2, 21)]),
      ],
      { 1: [11], 2: [21] },
    );
    assert.match(isolationText(findings), /one unseen write closes a cycle/);
  });

  test('two readers that see two writes in different orders are allowed: two standbys, or long fork', () => {
    const findings = check(
      [
        transaction(1, 0, 100, [append(1, 11)]),
        transaction(2, 0, 100, [append(2, 21)]),
        transaction(3, 0, 100, [read(1, 11), read(2)]),
        transaction(4, 0, 100, [read(1), read(2, 21)]),
      ],
      { 1: [11], 2: [21] },
    );
    assert.deepEqual(kinds(findings), []);
  });

  test('a read that began after an append was acknowledged and misses it is stale', () => {
    const findings = check([transaction(1, 0, 10, [append(1, 11)]), transaction(2, 25, 30, [read(1)])], {
      1: [11],
    });
    assert.deepEqual(kinds(findings), ['stale', 'realTime']);
    assert.equal(findings.stale[0]!.ageMs, 15);
  });

  test('real time is kept across lists, too', () => {
    // 11 was acknowledged before 21 was begun, and one who sees 21 misses 11.
    const findings = check(
      [
        transaction(1, 0, 10, [append(1, 11)]),
        transaction(2, 11, 40, [append(2, 21)]),
        transaction(3, 5, 30, [read(1), read(2, 21)]),
      ],
      { 1: [11], 2: [21] },
    );
    assert.deepEqual(kinds(findings), ['realTime']);
  });

  test('a session that does not see its own append breaks its order', () => {
    const own = [transaction(1, 0, 10, [append(1, 11)]), transaction(1, 25, 30, [read(1)])];
    assert.deepEqual(kinds(check(own, { 1: [11] })), ['stale', 'session']);
  });

  test('a session that goes back breaks its order, even to another list', () => {
    const findings = check(
      [
        transaction(1, 0, 100, [append(1, 11), append(2, 21)]),
        transaction(2, 10, 20, [read(1, 11)]),
        transaction(2, 21, 30, [read(2)]),
      ],
      { 1: [11], 2: [21] },
    );
    assert.deepEqual(kinds(findings), ['session']);
  });

  test('one that goes from a standby back to the primary may go back a little', () => {
    const findings = check(
      [
        transaction(1, 0, 100, [append(1, 11)]),
        transaction(2, 10, 20, [read(1, 11)]),
        transaction(2, 21, 30, [read(1)], { node: 'primary' }),
      ],
      { 1: [11] },
    );
    assert.deepEqual(kinds(findings), []);
  });
});
