/** That the simulator comes into every trap of the catalogue, and gets out of it. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { addCounts, type Counts } from '../simulator/situations.js';
import { type TestPlace, TRAPS } from '../simulator/traps.js';
import { trapsMarkdown } from '../simulator/traps-document.js';
import { runSeed } from '../simulator/world.js';

/** Within so many runs each situation must have come. */
const SEEDS = 1500;
const REPOSITORY = new URL('../../', import.meta.url);

describe('the traps of the protocol', () => {
  const reached: Counts = new Map();
  const wanted = new Set(TRAPS.flatMap(({ situations = [] }) => situations));
  let violation: string | null = null;

  before(() => {
    for (let seed = 1; seed <= SEEDS && violation === null; seed++) {
      const result = runSeed(seed, { probes: true });
      if (result.violation !== null) violation = `seed ${seed}: ${result.violation}`;
      addCounts(reached, result.reached);
      if ([...wanted].every((situation) => reached.has(situation))) return;
    }
  });

  for (const { number, title, situations = [], tests = [], faults = [], open } of TRAPS) {
    test(`${number}. ${title}`, { todo: open ?? false }, () => {
      assert.equal(violation, null);
      for (const situation of situations) {
        assert.ok(reached.has(situation), `${SEEDS} runs did not come into this: ${situation}`);
      }
      for (const place of tests) assertExists(place);
      assert.ok(
        open !== undefined || situations.length + tests.length + faults.length > 0,
        'nothing covers it',
      );
    });
  }
});

test('docs/protocol-traps.md is current (if not: npm run --silent simulate -- --traps > docs/protocol-traps.md)', () => {
  const committed = readFileSync(new URL('docs/protocol-traps.md', REPOSITORY), 'utf8');
  assert.equal(trapsMarkdown(), committed);
});

test('the traps are numbered from 1 on, without a gap', () => {
  assert.deepEqual(
    TRAPS.map(({ number }) => number),
    TRAPS.map((_, index) => index + 1),
  );
});

function assertExists({ file, words }: TestPlace): void {
  const source = readFileSync(fileURLToPath(new URL(file, REPOSITORY)), 'utf8');
  assert.ok(source.includes(words), `${file} has no test of this name: ${words}`);
}
