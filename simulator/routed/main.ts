#!/usr/bin/env node
/** `npm run simulate:nodes`: runs seeds, and says how to replay the first that fails. */
import { Command, InvalidArgumentError, Option } from 'commander';
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
    ...(defect !== undefined && { ...DEFECTS[defect]! }),
    ...(trace === true && { trace: (line: string) => process.stdout.write(`${line}\n`) }),
  });
}

function run(flags: Flags): number {
  const first = flags.seed ?? flags.from ?? Math.floor(Math.random() * 0x1_0000_0000);
  const count = flags.seed === undefined ? flags.seeds : 1;
  const began = performance.now();
  const totals = new Map<string, number>();
  let failed = 0;
  let done = 0;
  for (; done < count && (failed === 0 || flags.keepGoing === true); done++) {
    const result = runOne(first + done, flags);
    const figures = { ...result.counts, events: result.events };
    for (const [name, value] of Object.entries(figures)) totals.set(name, (totals.get(name) ?? 0) + value);
    if (result.violation === null) continue;
    failed++;
    const defect = flags.defect === undefined ? '' : ` --defect ${JSON.stringify(flags.defect)}`;
    process.stdout.write(`seed ${result.seed}, at ${result.virtualMs.toFixed(1)} ms: ${result.violation}\n`);
    process.stdout.write(`  replay: npm run simulate:nodes -- --seed ${result.seed}${defect} --trace\n`);
  }
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  const figures = [...totals].map(([name, value]) => `${name} ${value}`).join(', ');
  process.stdout.write(`${done} seeds from ${first}, ${failed} failed, ${seconds} s; ${figures}\n`);
  return failed === 0 ? 0 : 1;
}

/** For each defect the first seed that shows it, and is well without it. */
function showDefects({ seeds }: Flags): number {
  let hidden = 0;
  for (const [name, { fault, change }] of Object.entries(DEFECTS)) {
    let shown: RunResult | null = null;
    for (let seed = 1; seed <= seeds && shown === null; seed++) {
      const result = runSeed(seed, { fault, change });
      if (result.violation !== null && runSeed(seed, { change }).violation === null) shown = result;
    }
    if (shown === null) hidden++;
    process.stdout.write(
      `${name}: ${shown === null ? 'not found' : `seed ${shown.seed}: ${shown.violation}`}\n`,
    );
  }
  return hidden === 0 ? 0 : 1;
}

const program = new Command('simulate:nodes')
  .description('Run the gateway in front of model servers that replicate, fall behind, end and are promoted.')
  .option('--seeds <n>', 'how many seeds to run', wholeNumber, 100)
  .option('--from <seed>', 'the first seed (default: random)', wholeNumber)
  .option('--seed <seed>', 'run this seed alone', wholeNumber)
  .addOption(new Option('--defect <name>', 'switch a deliberate defect on').choices(Object.keys(DEFECTS)))
  .option('--trace', 'print every message and event')
  .option('--show-defects', 'find a seed for each deliberate defect, among so many')
  .option('--keep-going', 'go on after a failure');

const flags = program.parse().opts<Flags>();
process.exitCode = flags.showDefects === true ? showDefects(flags) : run(flags);
