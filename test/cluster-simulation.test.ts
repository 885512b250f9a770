/** Whole clusters over seeds; and the proof that the simulation finds defects. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { DEFECTS } from '../simulator/cluster/defects.js';
import { runSeed } from '../simulator/cluster/world.js';

const FRESH_SEEDS = 25;
/** The same each time. */
const CHANGING_SEEDS = 10;
/** Seeds that failed once. A change of the simulation gives them another run: the rule then has a test of its own. */
const REGRESSIONS: readonly (readonly [seed: number, what: string])[] = [
  [164, 'a timeline without WAL among the parents of one that has some'],
];

/** Another range each time; a failure names its seed. */
function freshBase(): number {
  const forced = process.env.SLUICE_SIMULATOR_SEED;
  return forced === undefined ? Math.floor(Math.random() * 0x1_0000_0000) : Number(forced);
}

describe('simulated clusters', () => {
  const base = freshBase();

  test(`${FRESH_SEEDS} seeds from ${base}`, () => {
    const total = { acknowledged: 0, elections: 0 };
    for (let seed = base; seed < base + FRESH_SEEDS; seed++) {
      const { violation, acknowledged, elections } = runSeed(seed);
      const replay = `npm run simulate:cluster -- --seed ${seed} --trace`;
      assert.equal(violation, null, `seed ${seed}: ${violation}\nreplay: ${replay}`);
      total.acknowledged += acknowledged;
      total.elections += elections;
    }
    assert.ok(total.elections > FRESH_SEEDS, 'hardly anybody was elected');
    assert.ok(total.acknowledged > 100 * FRESH_SEEDS, 'hardly anything was written');
  });

  for (const [seed, what] of REGRESSIONS) {
    test(`seed ${seed}: ${what}`, () => assert.equal(runSeed(seed).violation, null));
  }

  test('settings that say what a commit is worth may change meanwhile, one file after the other', () => {
    for (let seed = 1; seed <= CHANGING_SEEDS; seed++) {
      const { violation } = runSeed(seed, { changesSettings: true });
      const replay = `npm run simulate:cluster -- --change-settings --seed ${seed} --trace`;
      assert.equal(violation, null, `seed ${seed}: ${violation}\nreplay: ${replay}`);
    }
  });

  test('the same seed gives the same run', () => {
    const [first, second] = [base, base].map((seed) => {
      const lines: string[] = [];
      runSeed(seed, { trace: (line) => lines.push(line) });
      return lines.join('\n');
    });
    assert.equal(first, second);
  });
});

describe('the simulation of clusters notices', () => {
  for (const [name, { shownBy, ...defect }] of Object.entries(DEFECTS)) {
    test(name, () => {
      const hint = `npm run simulate:cluster -- --show-defects finds seeds that do`;
      assert.notEqual(runSeed(shownBy, { defect }).violation, null, `seed ${shownBy} shows nothing; ${hint}`);
      assert.equal(runSeed(shownBy).violation, null, `seed ${shownBy} fails without the defect, too`);
    });
  }
});
