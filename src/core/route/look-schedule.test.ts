import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { CATALOGUE_MS_MAX, CATALOGUE_MS_MIN, CATALOGUE_PATIENCE_MS_MAX } from '../limits.js';
import { LookSchedule } from './look-schedule.js';

/** One that looks whenever it is due; a look takes 10 ms. */
function newSchedule() {
  const schedule = new LookSchedule();
  let now = 0;
  const looks: number[] = [];
  const look = (hasChanged: boolean) => {
    looks.push(now);
    schedule.succeeded(now, 10, hasChanged);
  };
  look(true);
  /** Lets time pass; returns how long after its beginning it was looked. */
  const pass = (ms: number, hasChanged = false): number[] => {
    const from = now;
    const seen = looks.length;
    for (; now < from + ms; now += 100) if (now >= schedule.dueAt) look(hasChanged);
    return looks.slice(seen).map((at) => at - from);
  };
  return { schedule, pass, suspect: () => schedule.suspected(now) };
}

describe('when the catalogue is looked at', () => {
  test('rarely, while nothing is suspected', () => {
    const { pass } = newSchedule();
    pass(4 * CATALOGUE_MS_MAX);
    assert.equal(pass(10 * CATALOGUE_MS_MAX).length, 10);
  });

  test('at once and several times behind a change', () => {
    const { pass, suspect } = newSchedule();
    pass(4 * CATALOGUE_MS_MAX + 123_400);
    suspect();
    assert.deepEqual(pass(100_000), [0, 1000, 5000, 21_000, 85_000]);
  });

  test('seldom when suspicions come all the time and are wrong', () => {
    const { pass, suspect } = newSchedule();
    let looks = 0;
    for (let n = 0; n < 1000; n += 1) {
      suspect();
      looks += pass(1000).length;
    }
    assert.ok(looks <= 40, `${looks} looks in 1000 s`);
    suspect();
    assert.ok(pass(CATALOGUE_PATIENCE_MS_MAX + CATALOGUE_MS_MIN).length > 0);
    pass(4 * CATALOGUE_PATIENCE_MS_MAX);
    suspect();
    assert.deepEqual(pass(1500), [0, 1000], 'after a calm time they count again');
  });

  test('often when they are right', () => {
    const { pass, suspect } = newSchedule();
    let looks = 0;
    for (let n = 0; n < 100; n += 1) {
      suspect();
      looks += pass(1000, true).length;
    }
    assert.ok(looks >= 90, `${looks} looks in 100 s`);
  });

  test('a look that takes long is followed by a longer rest', () => {
    const schedule = new LookSchedule();
    schedule.succeeded(20_000, 20_000, true);
    schedule.suspected(30_000);
    assert.equal(schedule.dueAt, 220_000);
  });

  test('a failure is repeated, soon at first', () => {
    const schedule = new LookSchedule();
    schedule.failed(0);
    assert.equal(schedule.dueAt, 100);
    for (let n = 0; n < 10; n += 1) schedule.failed(1000);
    assert.equal(schedule.dueAt, 6000);
    schedule.succeeded(7000, 10, true);
    schedule.failed(8000);
    assert.equal(schedule.dueAt, 8100);
  });
});
