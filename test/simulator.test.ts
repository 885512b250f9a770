/** Whole gateways against model clients and model servers, over seeds; and the proof that this finds defects. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FAULTS } from '../simulator/faults.js';
import { REGRESSIONS } from '../simulator/regressions.js';
import { runSeed } from '../simulator/world.js';

const FRESH_SEEDS = 200;
/** With so many seeds a defect must show. */
const FAULT_SEEDS = 400;

/** Another range each time; a failure names its seed. */
function freshBase(): number {
  const forced = process.env.SLUICE_SIMULATOR_SEED;
  return forced === undefined ? Math.floor(Math.random() * 0x1_0000_0000) : Number(forced);
}

describe('simulation', () => {
  const base = freshBase();

  test(`${FRESH_SEEDS} seeds from ${base}`, (context) => {
    context.diagnostic(`base seed: ${base}`);
    let answered = 0;
    for (let seed = base; seed < base + FRESH_SEEDS; seed++) {
      const result = runSeed(seed);
      answered += result.answered;
      assert.equal(
        result.violation,
        null,
        `seed ${seed}: ${result.violation}\nreplay: npm run simulate -- --seed ${seed} --trace`,
      );
    }
    assert.ok(answered > FRESH_SEEDS, 'the model clients got hardly any answers');
  });

  test('unix sockets that serve, and others', () => {
    const wanted = ['a unix socket serves', 'a unix socket is passed over'] as const;
    const reached = new Set<string>();
    for (let seed = base; seed < base + FRESH_SEEDS; seed++) {
      const result = runSeed(seed, { hasLocalSocket: true });
      assert.equal(result.violation, null, `seed ${seed}, with hasLocalSocket`);
      for (const situation of wanted) if (result.reached.has(situation)) reached.add(situation);
      if (reached.size === wanted.length) return;
    }
    assert.fail(`met only: ${[...reached].join()}`);
  });

  test('servers that speak the newest protocol, and others', () => {
    let asked = 0;
    for (let seed = base; seed < base + FRESH_SEEDS && asked === 0; seed++) {
      asked += runSeed(seed).reached.get('a server is asked for the newest protocol') ?? 0;
    }
    assert.ok(asked > 0);
  });

  test('the same seed gives the same run', () => {
    const [first, second] = [base, base].map((seed) => {
      const lines: string[] = [];
      runSeed(seed, { trace: (line) => lines.push(line) });
      return lines.join('\n');
    });
    assert.equal(first, second);
  });

  for (const { seed, profile, found, ...forced } of REGRESSIONS) {
    test(`seed ${seed}: ${found}`, () => {
      const options = {
        ...{ hasSessionState: false, hasLocalSocket: false, isTight: false, ...forced },
        ...(profile !== undefined && { profile }),
      };
      assert.equal(runSeed(seed, options).violation, null);
    });
  }
});

describe('the simulator notices', () => {
  for (const [name, fault] of Object.entries(FAULTS)) {
    test(name, () => {
      for (let seed = 1; seed <= FAULT_SEEDS; seed++) {
        if (runSeed(seed, { fault }).violation === null) continue;
        assert.equal(runSeed(seed).violation, null, `seed ${seed} fails without the defect too`);
        return;
      }
      assert.fail(`${FAULT_SEEDS} seeds ran as if there were no defect`);
    });
  }
});
