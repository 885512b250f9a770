#!/usr/bin/env node
/** `npm run simulate:cluster`: runs seeds, and says how to replay the first that fails. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { TRANSITIONS } from '../../src/cluster/states.js';
import { DEFECTS } from './defects.js';
import { type RunResult, runSeed } from './world.js';

interface Flags {
  readonly seeds: number;
  readonly from?: number;
  readonly seed?: number;
  readonly defect?: string;
  readonly trace?: boolean;
  readonly keepGoing?: boolean;
  readonly showDefects?: boolean;
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0) throw new InvalidArgumentError('expected a whole number.');
  return value;
}

function runOne(seed: number, { defect, trace }: Flags): RunResult {
  return runSeed(seed, {
    ...(defect !== undefined && { defect: DEFECTS[defect]! }),
    ...(trace === true && { trace: (line: string) => process.stdout.write(`${line}\n`) }),
  });
}

function run(flags: Flags): number {
  const first = flags.seed ?? flags.from ?? Math.floor(Math.random() * 0x1_0000_0000);
  const count = flags.seed === undefined ? flags.seeds : 1;
  const began = performance.now();
  const total = { failed: 0, acknowledged: 0, elections: 0, events: 0 };
  const ways = new Set<string>();
  let done = 0;
  for (; done < count && (total.failed === 0 || flags.keepGoing === true); done++) {
    const result = runOne(first + done, flags);
    for (const key of ['acknowledged', 'elections', 'events'] as const) total[key] += result[key];
    for (const way of result.ways.keys()) ways.add(way);
    if (result.violation === null) continue;
    total.failed++;
    const defect = flags.defect === undefined ? '' : ` --defect ${JSON.stringify(flags.defect)}`;
    process.stdout.write(`seed ${result.seed} (${result.profile}): ${result.violation}\n`);
    process.stdout.write(`  replay: npm run simulate:cluster -- --seed ${result.seed}${defect} --trace\n`);
  }
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  const { failed, acknowledged, elections, events } = total;
  process.stdout.write(
    `${done} seeds from ${first}, ${failed} failed; ${acknowledged} commits acknowledged, ${elections} elections, ${events} events, ${seconds} s\n`,
  );
  for (const [from, event] of TRANSITIONS) {
    if (!ways.has(`${from} | ${event}`)) process.stdout.write(`  never taken: ${from}: ${event}\n`);
  }
  return failed === 0 ? 0 : 1;
}

/** For each defect the first seed that shows it, and is well without it. */
function showDefects({ seeds }: Flags): number {
  let hidden = 0;
  for (const [name, { shownBy: _, ...defect }] of Object.entries(DEFECTS)) {
    let shown: RunResult | null = null;
    for (let seed = 1; seed <= seeds && shown === null; seed++) {
      const result = runSeed(seed, { defect });
      if (result.violation !== null && runSeed(seed).violation === null) shown = result;
    }
    if (shown === null) hidden++;
    process.stdout.write(
      `${name}: ${shown === null ? 'not found' : `seed ${shown.seed}: ${shown.violation}`}\n`,
    );
  }
  return hidden === 0 ? 0 : 1;
}

const program = new Command('simulate:cluster')
  .description('Run whole clusters over seeded time, network, clocks and faults.')
  .option('--seeds <n>', 'how many seeds to run', wholeNumber, 100)
  .option('--from <seed>', 'the first seed (default: random)', wholeNumber)
  .option('--seed <seed>', 'run this seed alone', wholeNumber)
  .addOption(new Option('--defect <name>', 'switch a deliberate defect on').choices(Object.keys(DEFECTS)))
  .option('--trace', 'print every change of a state')
  .option('--show-defects', 'find a seed for each deliberate defect, among so many')
  .option('--keep-going', 'go on after a failure');

const flags = program.parse().opts<Flags>();
process.exitCode = flags.showDefects === true ? showDefects(flags) : run(flags);
