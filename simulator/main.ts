#!/usr/bin/env node
/** `npm run simulate`: runs seeds, and says how to replay the first that fails. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { FAULTS, type FaultName } from './faults.js';
import { PROFILES, type Profile } from './plan.js';
import { trapsMarkdown } from './traps-document.js';
import { type RunResult, runSeed } from './world.js';

interface Flags {
  readonly seeds: number;
  readonly from?: number;
  readonly seed?: number;
  readonly profile?: Profile;
  readonly fault?: FaultName;
  readonly trace?: boolean;
  readonly keepGoing?: boolean;
  readonly rash?: boolean;
  readonly traps?: boolean;
}

const PROGRESS_MS = 500;

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0) throw new InvalidArgumentError('expected a whole number.');
  return value;
}

function replayCommand(seed: number, flags: Flags): string {
  const profile = flags.profile === undefined ? '' : ` --profile ${flags.profile}`;
  const fault = flags.fault === undefined ? '' : ` --fault ${JSON.stringify(flags.fault)}`;
  const rash = flags.rash === true ? ' --rash' : '';
  return `npm run simulate -- --seed ${seed}${profile}${rash}${fault}`;
}

function runOne(seed: number, flags: Flags): RunResult {
  return runSeed(seed, {
    ...(flags.profile !== undefined && { profile: flags.profile }),
    ...(flags.rash === true && { rashness: 0.5 }),
    ...(flags.trace === true && { trace: (line: string) => process.stdout.write(`${line}\n`) }),
    ...(flags.fault !== undefined && { fault: FAULTS[flags.fault] }),
  });
}

function showFailure(result: RunResult, flags: Flags): void {
  process.stdout.write(
    `\nseed ${result.seed} (${result.profile}) failed at ${result.virtualMs.toFixed(1)} ms:\n`,
  );
  process.stdout.write(`  ${result.violation}\n  replay: ${replayCommand(result.seed, flags)} --trace\n`);
}

function run(flags: Flags): number {
  const first = flags.seed ?? flags.from ?? Math.floor(Math.random() * 0x1_0000_0000);
  const count = flags.seed === undefined ? flags.seeds : 1;
  const startedAt = Date.now();
  let shownAt = startedAt;
  let failures = 0;
  let done = 0;
  let events = 0;
  let answered = 0;
  const progress = () => {
    const seconds = (Date.now() - startedAt) / 1000;
    return `${done}/${count} seeds from ${first}, ${failures} failed, ${answered} answers, ${events} events, ${seconds.toFixed(1)} s`;
  };
  while (done < count) {
    const result = runOne(first + done, flags);
    done += 1;
    events += result.events;
    answered += result.answered;
    if (result.violation !== null) {
      failures += 1;
      showFailure(result, flags);
      if (flags.keepGoing !== true) break;
    }
    if (process.stdout.isTTY && Date.now() - shownAt > PROGRESS_MS) {
      shownAt = Date.now();
      process.stdout.write(`\r${progress()}`);
    }
  }
  process.stdout.write(`${process.stdout.isTTY ? '\r' : ''}${progress()}\n`);
  return failures === 0 ? 0 : 1;
}

const program = new Command('simulate')
  .description(
    'Run the gateway against model clients and model servers, over seeded time, network and faults.',
  )
  .option('--seeds <n>', 'how many seeds to run', wholeNumber, 200)
  .option('--from <seed>', 'the first seed (default: random)', wholeNumber)
  .option('--seed <seed>', 'run this seed alone', wholeNumber)
  .addOption(new Option('--profile <name>', 'force one kind of trouble').choices(PROFILES))
  .addOption(new Option('--fault <name>', 'switch a deliberate defect on').choices(Object.keys(FAULTS)))
  .option('--rash', 'every other client relies on statements before it knows that they exist')
  .option('--trace', 'print every message and event')
  .option('--keep-going', 'go on after a failure')
  .option('--traps', 'print docs/protocol-traps.md instead');

const flags = program.parse().opts<Flags>();
if (flags.traps === true) process.stdout.write(trapsMarkdown());
else process.exitCode = run(flags);
