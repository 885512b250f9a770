#!/usr/bin/env node
/** `npm run simulate:nodes`. */
import { runSeedProgram, type SeedResult } from '../seed-program.js';
import { DEFECTS } from './defects.js';
import { type RunOptions, runSeed } from './world.js';

function result(seed: number, options: RunOptions): SeedResult {
  const { violation, virtualMs, counts, events } = runSeed(seed, options);
  return { violation, where: `at ${virtualMs.toFixed(1)} ms`, counts: { ...counts, events } };
}

runSeedProgram({
  name: 'simulate:nodes',
  description: 'Run the gateway in front of model servers that replicate, fall behind, end and are promoted.',
  defects: Object.keys(DEFECTS),
  switches: {},
  run: (seed, { defect, trace }) =>
    result(seed, { ...(defect !== null && DEFECTS[defect]!), ...(trace !== undefined && { trace }) }),
  runSuited(seed, defect, isThere) {
    const { fault, change } = DEFECTS[defect]!;
    return result(seed, isThere ? { fault, change } : { change });
  },
});
