#!/usr/bin/env node
/** `npm run simulate:cluster`. */
import { TRANSITIONS } from '../../src/cluster/states.js';
import { runSeedProgram, type SeedResult } from '../seed-program.js';
import { DEFECTS } from './defects.js';
import { type RunOptions, runSeed } from './world.js';

const CHANGE_SETTINGS = '--change-settings';

const ways = new Set<string>();

function result(seed: number, options: RunOptions): SeedResult {
  const { violation, profile, acknowledged, elections, events, ways: taken } = runSeed(seed, options);
  for (const way of taken.keys()) ways.add(way);
  return { violation, where: profile, counts: { acknowledged, elections, events } };
}

function withDefect(name: string): RunOptions {
  const { shownBy: _, ...defect } = DEFECTS[name]!;
  return { defect };
}

runSeedProgram({
  name: 'simulate:cluster',
  description: 'Run whole clusters over seeded time, network, clocks and faults.',
  defects: Object.keys(DEFECTS),
  switches: { [CHANGE_SETTINGS]: 'operators change durability and quorum meanwhile' },
  run: (seed, { defect, switches, trace }) =>
    result(seed, {
      ...(defect !== null && withDefect(defect)),
      ...(trace !== undefined && { trace }),
      changesSettings: switches.has(CHANGE_SETTINGS),
    }),
  runSuited: (seed, defect, isThere) => result(seed, isThere ? withDefect(defect) : {}),
  remarks: () =>
    TRANSITIONS.filter(([from, event]) => !ways.has(`${from} | ${event}`)).map(
      ([from, event]) => `never taken: ${from}: ${event}`,
    ),
});
