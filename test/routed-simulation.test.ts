/** Whole gateways in front of model servers that replicate and fail over, over seeds; and the proof that this finds defects. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { DEFECTS, together } from '../simulator/routed/defects.js';
import { runSeed } from '../simulator/routed/world.js';

const FRESH_SEEDS = 12;
/** With so many seeds a defect must show. */
const DEFECT_SEEDS = 200;

/** Another range each time; a failure names its seed. */
function freshBase(): number {
  const forced = process.env.SLUICE_SIMULATOR_SEED;
  return forced === undefined ? Math.floor(Math.random() * 0x1_0000_0000) : Number(forced);
}

describe('simulated databases of nodes', () => {
  const base = freshBase();

  test(`${FRESH_SEEDS} seeds from ${base}`, () => {
    const total = { acknowledged: 0, reads: 0, elections: 0 };
    for (let seed = base; seed < base + FRESH_SEEDS; seed++) {
      const { violation, counts } = runSeed(seed);
      const replay = `npm run simulate:nodes -- --seed ${seed} --trace`;
      assert.equal(violation, null, `seed ${seed}: ${violation}\nreplay: ${replay}`);
      for (const key of ['acknowledged', 'reads', 'elections'] as const) total[key] += counts[key];
    }
    assert.ok(total.elections > 0, 'nobody was elected');
    assert.ok(total.acknowledged > FRESH_SEEDS, 'hardly anything was written');
    assert.ok(total.reads > FRESH_SEEDS, 'hardly anything was read');
  });

  test('reads share pipelines in it', () => {
    let company = 0;
    for (let seed = base; seed < base + FRESH_SEEDS; seed++) {
      const { counts, violation } = runSeed(seed, { change: together });
      assert.equal(violation, null, `seed ${seed}`);
      company += counts.readsPipelined - counts.pipelines;
    }
    assert.ok(company > FRESH_SEEDS, `${company} reads had company`);
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

describe('the simulation of nodes notices', () => {
  for (const [name, { fault, change }] of Object.entries(DEFECTS)) {
    test(name, () => {
      for (let seed = 1; seed <= DEFECT_SEEDS; seed++) {
        if (runSeed(seed, { fault, change }).violation === null) continue;
        const { violation } = runSeed(seed, { change });
        assert.equal(violation, null, `seed ${seed} fails without the defect, too: ${violation}`);
        return;
      }
      assert.fail(`${DEFECT_SEEDS} seeds ran as if there were no defect`);
    });
  }
});
