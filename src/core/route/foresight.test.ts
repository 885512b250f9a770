import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Foresight } from './foresight.js';

describe('what a primary will say', () => {
  /** How many questions in a row it takes until the next one is taken to be foreseen. */
  const runNeeded = (foresight: Foresight): number => {
    let count = 0;
    while (!foresight.isLikely) {
      foresight.answered(true);
      count += 1;
    }
    return count;
  };

  test('is foreseen when it has been the same for a while, and not behind a surprise', () => {
    const foresight = new Foresight();
    assert.equal(runNeeded(foresight), 4);
    foresight.answered(false);
    assert.equal(foresight.isLikely, false);
  });

  test('is trusted later and later where that goes wrong soon, and earlier again where it goes well for long', () => {
    const foresight = new Foresight();
    const needed: number[] = [];
    for (let round = 0; round < 8; round += 1) {
      needed.push(runNeeded(foresight));
      foresight.answered(false);
    }
    assert.deepEqual(needed, [4, 8, 16, 32, 64, 128, 256, 256]);
    const falling: number[] = [];
    for (let round = 0; round < 8; round += 1) {
      falling.push(runNeeded(foresight));
      for (let count = 0; count < 2048; count += 1) foresight.answered(true);
      foresight.answered(false);
    }
    assert.deepEqual(falling, [256, 128, 64, 32, 16, 8, 4, 4]);
  });

  test('surprises where nobody relied on it cost nothing', () => {
    const foresight = new Foresight();
    for (let count = 0; count < 100; count += 1) {
      foresight.answered(true);
      foresight.answered(false);
    }
    assert.equal(runNeeded(foresight), 4);
  });

  test('begins anew with another primary', () => {
    const foresight = new Foresight();
    runNeeded(foresight);
    foresight.restart();
    assert.equal(foresight.isLikely, false);
    assert.equal(runNeeded(foresight), 4);
  });
});
