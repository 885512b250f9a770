/** A simulator as a program: it runs seeds, says how to replay the first that fails, and looks for deliberate defects. */
import { Command, InvalidArgumentError, Option } from 'commander';

/** What a program can run. */
export interface Simulation {
  /** As `npm run` knows it. */
  readonly name: string;
  readonly description: string;
  readonly defects: readonly string[];
  /** Switches of its own, by their flags (`--change-settings`), with what they do. */
  readonly switches: Readonly<Record<string, string>>;
  run(seed: number, how: SeedRun): SeedResult;
  /** Of a world that is suited to show this defect, and has it or not. */
  runSuited(seed: number, defect: string, isThere: boolean): SeedResult;
  /** More lines for the end of a run. */
  remarks?(): readonly string[];
}

/** How a seed is run. */
export interface SeedRun {
  readonly defect: string | null;
  /** The {@link Simulation.switches} that are on. */
  readonly switches: ReadonlySet<string>;
  readonly trace?: (line: string) => void;
}

/** What came of it. */
export interface SeedResult {
  readonly violation: string | null;
  /** What failed, for people: the kind of world, or the moment. */
  readonly where: string;
  /** Added up over all seeds. */
  readonly counts: Readonly<Record<string, number>>;
}

interface Flags {
  readonly seeds: number;
  readonly from?: number;
  readonly seed?: number;
  readonly defect?: string;
  readonly trace?: boolean;
  readonly keepGoing?: boolean;
  readonly showDefects?: boolean;
}

/** Runs what the command line asks for, and sets the exit code. */
export function runSeedProgram(simulation: Simulation): void {
  const program = new Command(simulation.name)
    .description(simulation.description)
    .option('--seeds <n>', 'how many seeds to run', wholeNumber, 100)
    .option('--from <seed>', 'the first seed (default: random)', wholeNumber)
    .option('--seed <seed>', 'run this seed alone', wholeNumber)
    .addOption(new Option('--defect <name>', 'switch a deliberate defect on').choices(simulation.defects))
    .option('--trace', 'print everything that happens')
    .option('--show-defects', 'find a seed for each deliberate defect, among so many')
    .option('--keep-going', 'go on after a failure');
  for (const [name, what] of Object.entries(simulation.switches)) program.option(name, what);
  program.parse();
  const flags = program.opts<Flags>();
  const isOn = (name: string) => program.getOptionValueSource(attributeOf(name)) === 'cli';
  const switches = new Set(Object.keys(simulation.switches).filter(isOn));
  process.exitCode =
    flags.showDefects === true ? showDefects(simulation, flags) : run(simulation, flags, switches);
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0) throw new InvalidArgumentError('expected a whole number.');
  return value;
}

function attributeOf(name: string): string {
  return new Option(name).attributeName();
}

function run(simulation: Simulation, flags: Flags, switches: ReadonlySet<string>): number {
  const first = flags.seed ?? flags.from ?? Math.floor(Math.random() * 0x1_0000_0000);
  const count = flags.seed === undefined ? flags.seeds : 1;
  const how: SeedRun = {
    ...{ defect: flags.defect ?? null, switches },
    ...(flags.trace === true && { trace: (line) => process.stdout.write(`${line}\n`) }),
  };
  const began = performance.now();
  const totals = new Map<string, number>();
  let failed = 0;
  let done = 0;
  for (; done < count && (failed === 0 || flags.keepGoing === true); done++) {
    const seed = first + done;
    const { violation, where, counts } = simulation.run(seed, how);
    for (const [name, value] of Object.entries(counts)) totals.set(name, (totals.get(name) ?? 0) + value);
    if (violation === null) continue;
    failed++;
    process.stdout.write(`seed ${seed} (${where}): ${violation}\n`);
    process.stdout.write(`  replay: npm run ${simulation.name} -- ${replayFlags(seed, how)} --trace\n`);
  }
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  const figures = [...totals].map(([name, value]) => `${name} ${value}`).join(', ');
  process.stdout.write(`${done} seeds from ${first}, ${failed} failed, ${seconds} s; ${figures}\n`);
  for (const line of simulation.remarks?.() ?? []) process.stdout.write(`  ${line}\n`);
  return failed === 0 ? 0 : 1;
}

function replayFlags(seed: number, { defect, switches }: SeedRun): string {
  const named = defect === null ? [] : [`--defect ${JSON.stringify(defect)}`];
  return [`--seed ${seed}`, ...named, ...switches].join(' ');
}

/** For each defect the first seed that shows it, and is well without it. */
function showDefects(simulation: Simulation, { seeds }: Flags): number {
  let hidden = 0;
  for (const defect of simulation.defects) {
    const shown = firstThatShows(simulation, defect, seeds);
    if (shown === null) hidden++;
    process.stdout.write(`${defect}: ${shown ?? 'not found'}\n`);
  }
  return hidden === 0 ? 0 : 1;
}

function firstThatShows(simulation: Simulation, defect: string, seeds: number): string | null {
  for (let seed = 1; seed <= seeds; seed++) {
    const { violation } = simulation.runSuited(seed, defect, true);
    if (violation === null || simulation.runSuited(seed, defect, false).violation !== null) continue;
    return `seed ${seed}: ${violation}`;
  }
  return null;
}
