import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  canBeMistaken,
  commonWith,
  type TimelineOrigin,
  withLateTerms,
  withoutEmptyTimelines,
} from './position.js';

const FIRST: TimelineOrigin = { timeline: 1, term: 0, from: 0 };
const SECOND: TimelineOrigin = { timeline: 2, term: 4, from: 100 };
const OTHER_SECOND: TimelineOrigin = { timeline: 2, term: 5, from: 100 };
const THIRD: TimelineOrigin = { timeline: 3, term: 6, from: 150 };

test('a node on the lineage has what its LSN says', () => {
  assert.deepEqual(commonWith([FIRST], { history: [FIRST], lsn: 90 }), { lsn: 90, isDiverged: false });
  assert.deepEqual(commonWith([FIRST, SECOND], { history: [FIRST], lsn: 90 }), {
    lsn: 90,
    isDiverged: false,
  });
  const behind = { history: [FIRST, SECOND], lsn: 130 };
  assert.deepEqual(commonWith([FIRST, SECOND, THIRD], behind), { lsn: 130, isDiverged: false });
});

test('a node that went on behind a fork has only what is before it, however high its LSN is', () => {
  assert.deepEqual(commonWith([FIRST, SECOND], { history: [FIRST], lsn: 900 }), {
    lsn: 100,
    isDiverged: true,
  });
  const promoted = { history: [FIRST, SECOND], lsn: 900 };
  assert.deepEqual(commonWith([FIRST], promoted), { lsn: 100, isDiverged: true });
});

test('timelines of one number that different elections began are different', () => {
  const position = { history: [FIRST, OTHER_SECOND], lsn: 120 };
  assert.deepEqual(commonWith([FIRST, SECOND], position), { lsn: 100, isDiverged: true });
  assert.ok(canBeMistaken([FIRST, SECOND], position));
  assert.ok(!canBeMistaken([FIRST, THIRD], position));
  assert.ok(!canBeMistaken([FIRST, SECOND, THIRD], { history: [FIRST, SECOND], lsn: 900 }));
});

test('a timeline of which there is no WAL counts for nothing', () => {
  // A crash has taken the WAL that was not flushed, and left the history file.
  const position = { history: [FIRST, SECOND], lsn: 60 };
  assert.deepEqual(withoutEmptyTimelines(position), { history: [FIRST], lsn: 60 });
  assert.deepEqual(commonWith([FIRST], position), { lsn: 60, isDiverged: false });
});

test('nor does one that its own successor left before it began', () => {
  const skipped = { ...SECOND, from: 155 };
  const position = { history: [FIRST, skipped, THIRD], lsn: 160 };
  assert.deepEqual(withoutEmptyTimelines(position).history, [FIRST, THIRD]);
  assert.deepEqual(commonWith([FIRST, THIRD], position), { lsn: 160, isDiverged: false });
});

test('another cluster has nothing in common', () => {
  const foreign = { history: [{ timeline: 1, term: 9, from: 0 }], lsn: 50 };
  assert.deepEqual(commonWith([FIRST], foreign), { lsn: -1, isDiverged: true });
});

test('a timeline that came before its term was known gets that, unless another promotion could have begun it', () => {
  const UNKNOWN: TimelineOrigin = { ...SECOND, term: 0 };
  const came = { history: [FIRST, UNKNOWN], lsn: 120 };
  const late = (lineage: TimelineOrigin[], after: number, upTo: number) =>
    withLateTerms(came, lineage, { after, upTo }).history.at(-1)?.term;
  assert.equal(late([FIRST, SECOND], 3, 4), 4);
  assert.equal(late([FIRST, SECOND, { ...THIRD, term: 5 }], 3, 5), 4);
  assert.equal(late([FIRST, SECOND], 2, 4), 0, 'nobody knows what term 3 has begun');
  assert.equal(late([FIRST, SECOND, THIRD], 3, 6), 0, 'nor term 5');
  assert.equal(late([FIRST, { ...SECOND, from: 90 }], 3, 4), 0);
  assert.equal(late([FIRST, SECOND], 4, 4), 0, 'what came before has been judged');
});
