import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Operation } from './history.js';
import {
  Eras,
  failures,
  harmedBystanders,
  lastAfter,
  longestGap,
  lostWrites,
  median,
  takenOverAfter,
  twoPrimaries,
} from './oracles.js';

let number = 0;

/** An acknowledged write of `server` on a timeline, unless the rest says otherwise. */
function write(
  invoked: number,
  ended: number,
  server: string,
  timeline: number,
  rest: Partial<Operation> = {},
): Operation {
  const numbers = [++number];
  const common = { client: '1.autocommit.0', kind: 'autocommit', what: 'write', outcome: 'ok' } as const;
  const end = { code: null, message: null, dropped: false, inside: false, sent: invoked };
  return { ...common, ...end, numbers, invoked, ended, server, timeline, ...rest };
}

describe('the oracles of the chaos harness', () => {
  test('an acknowledged write that is missing is found, an unknown one is not', () => {
    const kept = write(0, 1, 'a', 1);
    const gone = write(1, 2, 'a', 1);
    const unknown = write(2, 3, 'a', 1, { outcome: 'unknown', code: '08007' });
    assert.deepEqual(lostWrites([kept, gone, unknown], new Set(kept.numbers)), [gone]);
  });

  test('half of a transaction is a lost write', () => {
    const both = write(0, 1, 'a', 1, { numbers: [101, 102] });
    assert.deepEqual(lostWrites([both], new Set([101])), [both]);
  });

  test('a superseded primary that acknowledges what was sent later is found', () => {
    const history = [write(0, 1, 'a', 1), write(10, 12, 'b', 2), write(15, 16, 'a', 1)];
    const [found, ...others] = twoPrimaries(history);
    assert.equal(others.length, 0);
    assert.equal(found?.older, history[2]);
    assert.equal(found?.afterMs, 3);
  });

  test('two primaries of one timeline are found', () => {
    assert.equal(twoPrimaries([write(0, 1, 'a', 1), write(2, 3, 'b', 1), write(4, 5, 'a', 1)]).length, 1);
  });

  test('writes that overlap in time prove nothing, and a change back on a newer timeline is none', () => {
    assert.deepEqual(twoPrimaries([write(0, 20, 'a', 1), write(10, 12, 'b', 2), write(30, 31, 'a', 3)]), []);
  });

  test('who has come after a primary, when its writes are heard of in pieces', () => {
    const eras = new Eras();
    const [first, second, third] = [write(0, 1, 'a', 1), write(10, 12, 'b', 2), write(11, 13, 'a', 1)];
    eras.take([third, second]);
    assert.equal(eras.successorOf(second), null);
    assert.deepEqual(eras.twoPrimaries(), []);
    eras.take([first]);
    assert.equal(eras.successorOf(first), second);
    eras.take([write(14, 15, 'a', 1)]);
    assert.equal(eras.twoPrimaries().length, 1);
  });

  test('the longest gap ends after the fault', () => {
    const history = [
      write(0, 1, 'a', 1),
      write(90, 91, 'a', 1),
      write(95, 130, 'b', 2),
      write(135, 140, 'b', 2),
    ];
    assert.deepEqual(longestGap(history, 92), { from: 91, ms: 39 });
    assert.equal(longestGap(history, 200).ms, Number.POSITIVE_INFINITY);
  });

  test('what the dying primary acknowledges is no take-over', () => {
    const history = [write(0, 110, 'a', 1), write(100, 120, 'a', 1), write(100, 150, 'b', 2)];
    assert.equal(takenOverAfter(history, 100, { server: 'a', timeline: 1 }), 50);
    assert.equal(
      takenOverAfter(history.slice(0, 2), 100, { server: 'a', timeline: 1 }),
      Number.POSITIVE_INFINITY,
    );
  });

  test('who is harmed: nobody whose server died with its statement, or inside a transaction', () => {
    const refused = { outcome: 'failed', code: '57P03' } as const;
    const unknown = { outcome: 'unknown', code: '08007' } as const;
    const died = write(90, 120, 'a', 1, unknown);
    const late = write(5_000, 5_100, 'a', 1, unknown);
    const inside = write(300, 330, 'a', 1, { ...refused, inside: true });
    const harmed = write(90, 330, 'a', 1, refused);
    const history = [write(0, 50, 'a', 1, refused), died, late, inside, harmed];
    assert.deepEqual(harmedBystanders(history, 100, false), [late, harmed]);
    assert.deepEqual(harmedBystanders(history, 100, true), [harmed]);
  });

  test('failures are counted by what they were, and whether they were under way', () => {
    const failed = { outcome: 'failed', code: '57P03' } as const;
    const history = [
      write(90, 120, 'a', 1, failed),
      write(300, 330, 'a', 1, failed),
      write(310, 330, 'a', 1, failed),
    ];
    const counts = failures(history, 100).map(({ underWay, count }) => [underWay, count]);
    assert.deepEqual(counts, [
      [false, 2],
      [true, 1],
    ]);
  });

  test('a history of half an hour is judged, too', () => {
    const history = new Array<Operation>(200_000).fill(write(11, 12, 'a', 1));
    assert.equal(takenOverAfter(history, 10, { server: 'b', timeline: 1 }), 2);
    assert.equal(lastAfter(history, 10), 2);
    assert.deepEqual(twoPrimaries(history), []);
  });

  test('the median', () => {
    assert.equal(median([3, 1, 2]), 2);
    assert.equal(median([4, 1, 2, 3]), 2.5);
  });
});
