/** `npm run test:consistency`: whether the modes of consistency keep what they promise. `--help` says more. */
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { DRIVERS, type Driver } from '../harness/gateway-under-test.js';
import { Cluster } from './cluster.js';
import { checkConsistency, type Report, type Round } from './consistency-check.js';
import { POOL_SIZE, WAYS, type Way } from './gateways.js';
import { STAND_INS, type StandIn } from './session.js';
import { countFindings, MODES, type Mode } from './verdict.js';

const HELP = `
A primary and two standbys are started, and two gateways in front of them. Sessions read and write through both gateways, two
writers bypass them, and the standbys are kept behind: by pausing their replay, by recovery_min_apply_delay, by load. In the first
0.8 s of every 2 s hardly anybody writes.

Registers: every write adds one. Lists: transactions append unique elements, and read. What all sessions have seen is
checked after each round:
  strong    a read shows every write that was acknowledged before it began, whoever made it
  session   a session sees its own writes, and never goes back
  bounded   a read shows every write that was acknowledged more than bounded_staleness (300 ms here) before it began
  eventual  stale reads must be found, which shows that the check can see them
  primary   as strong, and the standbys serve nothing
In every mode transactions are isolated (snapshot isolation, per node). Standbys that served nothing prove nothing.

--stand-in checks the checker, by a router of its own: "primary" and "caught-up" must pass as strong ("primary" but for
the standbys' part), "any" must fail.

Ends with 0 when the promise was kept, with 1 when not: then the history is kept. With 2 when it could not be run.

Examples:
  npm run test:consistency -- --seconds 600 --mode strong
  npm run test:consistency -- --seconds 30 --mode session --way session
  npm run test:consistency -- --seconds 10 --mode strong --stand-in any`;

interface Parsed {
  mode: Mode;
  seconds: number;
  round: number;
  sessions: number;
  poolSize: number;
  way: Way;
  tiers: 1 | 2;
  drivers?: Driver[];
  standIn?: StandIn;
  seed?: number;
  keep?: string;
}

function positive(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new InvalidArgumentError('Expected a whole number from 1.');
  return value;
}

function oneOrTwo(text: string): 1 | 2 {
  if (text === '1' || text === '2') return text === '1' ? 1 : 2;
  throw new InvalidArgumentError('Expected 1 or 2.');
}

function driverList(text: string): Driver[] {
  const words = text.split(',') as Driver[];
  if (words.every((word) => DRIVERS.includes(word))) return words;
  throw new InvalidArgumentError(`Expected names out of ${DRIVERS.join()}.`);
}

function readOptions(): Parsed {
  return new Command('test:consistency')
    .description('Checks what sessions see through two gateways while standbys are kept behind.')
    .addOption(new Option('--mode <mode>', 'mode of consistency').choices(MODES).default('strong'))
    .option('--seconds <n>', 'for how long', positive, 60)
    .option('--round <seconds>', 'how much is checked at a time', positive, 15)
    .option('--sessions <n>', 'on each gateway', positive, 12)
    .option('--pool-size <n>', 'server connections of each gateway to each node', positive, POOL_SIZE)
    .addOption(
      new Option('--way <way>', "how the mode is asked for: the database's entry, each session's SET")
        .choices(WAYS)
        .default('database'),
    )
    .option('--tiers <n>', '2: gateways that only pool stand before those that route', oneOrTwo, 1 as const)
    .option('--drivers <names>', 'drivers of the gateways, one or two', driverList)
    .addOption(new Option('--stand-in <policy>', "no gateways: the checker's own router").choices(STAND_INS))
    .option('--seed <n>', 'of the choices; what the machine makes of them differs each time', positive)
    .option('--keep <folder>', 'where a failing history is kept (a new folder)')
    .addHelpText('after', HELP)
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2))
    .parse()
    .opts<Parsed>();
}

function list(counts: ReadonlyMap<string, number>): string {
  return [...counts]
    .map(([name, count]) => `${name} ${count}`)
    .sort()
    .join(', ');
}

function tellRound({ number, recorder, findings, delays, against }: Round): void {
  const { registers, lists } = findings;
  const found = countFindings(options.mode, findings)
    .filter(({ count }) => count > 0)
    .map(({ name, count, forbidden }) => `${name} ${count}${forbidden ? ' (FORBIDDEN)' : ''}`);
  console.log(
    `round ${number}: registers ${registers.reads} reads, ${registers.writes} writes; ` +
      `lists ${lists.transactions} transactions; aborted by conflicts ${recorder.conflicts}`,
  );
  console.log(`  reads by node: ${list(recorder.reads)}; delays: ${list(delays)}`);
  if (found.length > 0) console.log(`  found: ${found.join(', ')}`);
  for (const line of against) console.log(`  ${line}`);
}

function keep({ number, registers, lists, recorder, findings }: Round): void {
  const folder = options.keep ?? mkdtempSync(join(tmpdir(), 'sluice-consistency-'));
  mkdirSync(folder, { recursive: true });
  const lines = (items: readonly unknown[]): string =>
    items.map((one) => `${JSON.stringify(one)}\n`).join('');
  writeFileSync(join(folder, 'registers.jsonl'), lines(registers.operations));
  writeFileSync(join(folder, 'lists.jsonl'), lines(lists.transactions));
  writeFileSync(join(folder, 'lists-final.json'), JSON.stringify([...lists.final]));
  writeFileSync(join(folder, 'findings.json'), JSON.stringify(findings, null, 1));
  writeFileSync(join(folder, 'failures.txt'), recorder.failures.map((line) => `${line}\n`).join(''));
  keptIn = folder;
  console.log(`  the history of round ${number} is kept in ${folder}`);
}

function tellForms(): void {
  const nodes = [...new Set([...forms.values()].flatMap((byNode) => [...byNode.keys()]))].sort();
  console.log(`\nreads by form: ${nodes.join(' | ')}`);
  for (const [form, byNode] of [...forms].sort()) {
    console.log(`  ${form}: ${nodes.map((node) => byNode.get(node) ?? 0).join(' | ')}`);
  }
}

function tell({ against, reads, staleReads }: Report): void {
  tellForms();
  const total = [...reads.values()].reduce((sum, count) => sum + count, 0);
  const shares = [...reads].map(
    ([node, count]) => `${node} ${count} (${((100 * count) / Math.max(1, total)).toFixed(0)} %)`,
  );
  console.log(`${total} reads: ${shares.join(', ')}; stale: ${staleReads}`);
  for (const line of against) console.log(`NOT ${options.mode}: ${line}`);
  if (against.length === 0) console.log(`${options.mode}: as promised`);
}

const options = readOptions();
const seed = options.seed ?? Math.floor(Math.random() * 0x7fff_ffff);
const forms = new Map<string, Map<string, number>>();
let keptIn: string | null = null;

function onRound(round: Round): void {
  tellRound(round);
  for (const [form, byNode] of round.recorder.forms) {
    const all = forms.get(form) ?? new Map<string, number>();
    for (const [node, count] of byNode) all.set(node, (all.get(node) ?? 0) + count);
    forms.set(form, all);
  }
  if (round.against.length > 0) keep(round);
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(2));
try {
  const through = options.standIn === undefined ? 'two gateways' : `the stand-in "${options.standIn}"`;
  console.log(`${options.mode}, through ${through}, seed ${seed}`);
  const { round: roundSeconds, standIn = null, ...others } = options;
  const asked = { drivers: undefined, ...others, roundSeconds, standIn, seed, onRound };
  const cluster = await Cluster.start();
  const report = await checkConsistency(cluster, asked).finally(() => cluster.discard());
  if (keptIn !== null) {
    report.gatewayLogs.forEach((log, index) => {
      writeFileSync(join(keptIn!, `gateway-${index + 1}.log`), log);
    });
  }
  tell(report);
  process.exitCode = report.against.length === 0 ? 0 : 1;
} catch (error) {
  console.error(error instanceof Error ? error.stack : error);
  process.exitCode = 2;
}
