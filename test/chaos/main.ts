/** `npm run chaos`: what becomes of clients and their writes when things break. `--help` says more. */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { CHECKS } from './checks/all-checks.js';
import { runChecks } from './checks/run-checks.js';
import { missingPrograms } from './clusters/etcd.js';
import { SLUICE_PROGRAMS, SluiceCluster } from './clusters/sluice-cluster.js';
import { runFault } from './fault-run.js';
import { FAULTS, type Fault, type FaultName, hiccups } from './faults.js';
import { chooseGround, GROUND_NAMES, type GroundName, type OpenGround } from './ground/choice.js';
import { runLong } from './random/long-run.js';
import { STACKS, type StackName } from './stacks.js';
import { withCluster } from './stage.js';

/** Beside those of the cluster. Only root can make disks. */
const DISK_PROGRAMS = process.getuid?.() === 0 ? ['fsfreeze', 'mkfs.ext4'] : [];
const CHECK_PROGRAMS = [...SLUICE_PROGRAMS, 'curl', ...DISK_PROGRAMS];

const HELP = `
Three database nodes, two gateways, a store and two machines of clients. Clients add unique numbers to a set: alone, in
transactions, with rests, and with rests inside of transactions. Every operation is recorded.

What the machines are (--ground): "namespaces" of the network, where we are root and the kernel allows it; else "proxies" between loopback
addresses, on Linux without root. There a connection to who is cut off is accepted and then silent, where a namespace would not have
it come about; it is reset where nobody listens; and none ends by TCP's own timeouts. Parts of checks that need disks of their own
are left out without root. PostgreSQL is the system's, or else the one that npm brings along.

What is put to the test (--only):
${Object.entries(STACKS)
  .map(([name, { what }]) => `  ${name.padEnd(14)} ${what}`)
  .join('\n')}

Faults (--fault):
${Object.entries(FAULTS)
  .map(([name, { what }]) => `  ${name.padEnd(14)} ${what}`)
  .join('\n')}

--checks makes the twelve checks of a cluster of Sluice's, each part of each --times in a row, on clusters of their own:
${CHECKS.map(({ number, name }) => `  ${String(number).padEnd(14)} ${name}`).join('\n')}

--random has one cluster of Sluice live through troubles that overlap and follow from a seed: processes, machines, networks, members of
the store, agents, gateways and switchovers. After each act everything is repaired, the cluster has to be whole within three minutes, and what
clients were told by all primaries so far is judged.

Ends with 0 when what the stack promises was kept, with 1 when not, with 2 when it could not be run. Histories and logs of rounds
that break a promise are kept. SLUICE_CHAOS_PGBOUNCER names another PgBouncer than the one in PATH.

Examples:
  npm run chaos -- --only repmgr --fault kill --tuned
  npm run chaos -- --only patroni-chain --fault down --rounds 3
  npm run chaos -- --only sluice --fault hiccups --minutes 30
  npm run chaos -- --checks --times 3
  npm run chaos -- --check 9 --part promoting
  npm run chaos -- --random --minutes 60 --seed 7`;

interface Parsed {
  ground?: GroundName;
  only: StackName;
  fault: FaultName;
  rounds: number;
  stores: '1' | '3';
  minutes?: number;
  checks?: boolean;
  check?: number[];
  part?: string;
  times: number;
  random?: boolean;
  seed?: number;
  tuned?: boolean;
  keep?: boolean;
}

function positive(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new InvalidArgumentError('Expected a whole number from 1.');
  return value;
}

function eachPositive(text: string, before: number[] = []): number[] {
  return [...before, positive(text)];
}

function readOptions(): Parsed {
  return new Command('chaos')
    .description('Breaks a cluster under load, and checks what clients were told.')
    .addOption(
      new Option('--only <stack>', 'what is put to the test').choices(Object.keys(STACKS)).default('repmgr'),
    )
    .addOption(
      new Option('--fault <fault>', 'what is done to it').choices(Object.keys(FAULTS)).default('kill'),
    )
    .addOption(
      new Option('--ground <ground>', 'what the machines are. Default: what can be had').choices(
        GROUND_NAMES,
      ),
    )
    .option('--rounds <n>', 'how often', positive, 1)
    .addOption(new Option('--stores <n>', 'members of the store').choices(['1', '3']).default('1'))
    .option('--checks', "all twelve checks, of one of Sluice's clusters")
    .option('--check <n...>', 'these checks', eachPositive)
    .option('--part <word>', 'only parts of checks with this word in their names')
    .option('--times <n>', 'how often each part of a check', positive, 1)
    .option('--random', "troubles that follow from a seed, on one of Sluice's clusters")
    .option('--seed <n>', 'of --random. Default: another each time', positive)
    .option(
      '--minutes <n>',
      'how long --random (default 60) or the fault "hiccups" (default 1) goes on',
      positive,
    )
    .option('--tuned', "timeouts as short as the others' programs allow, in place of their defaults")
    .option('--keep', 'keep histories and logs of all rounds')
    .addHelpText('after', HELP)
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2))
    .parse()
    .opts<Parsed>();
}

const options = readOptions();
const folder = mkdtempSync(join(tmpdir(), 'sluice-chaos-'));
chmodSync(folder, 0o755);
const stores = options.stores === '3' ? 3 : 1;
const tuned = options.tuned === true;

async function runFaults(open: OpenGround): Promise<string[]> {
  const stack = STACKS[options.only];
  await demand(stack.needs);
  const { minutes } = options;
  const isLong = options.fault === 'hiccups' && minutes !== undefined;
  const fault: Fault = isLong ? hiccups(minutes * 60, 200) : FAULTS[options.fault];
  return runFault({ open, stack, fault, rounds: options.rounds, stores, tuned, folder });
}

async function makeChecks(open: OpenGround): Promise<string[]> {
  await demand(CHECK_PROGRAMS);
  const { check: numbers, part, times } = options;
  const checks = CHECKS.filter(({ number }) => numbers === undefined || numbers.includes(number));
  if (checks.length === 0) throw new Error(`there is no check ${numbers}`);
  return runChecks({ open, checks, part, times, folder });
}

async function runRandom(open: OpenGround): Promise<readonly string[]> {
  await demand(SLUICE_PROGRAMS);
  const { seed = 1 + (Date.now() % 1_000_000), minutes = 60 } = options;
  console.log(`random troubles for ${minutes} min, seed ${seed}`);
  const against: string[] = [];
  const build = (building: ConstructorParameters<typeof SluiceCluster>[0]) => new SluiceCluster(building);
  await withCluster(open, build, join(folder, 'cluster'), { stores: 3, tuned }, async (cluster, ground) => {
    const result = await runLong(cluster, ground, { seed, minutes, folder });
    against.push(...result.against);
    console.log(result.summary);
  });
  return against;
}

async function demand(programs: readonly string[]): Promise<void> {
  const missing = await missingPrograms(programs);
  if (missing.length > 0) throw new Error(`missing on this machine: ${missing.join(', ')}`);
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(2));
try {
  const { what, open } = chooseGround(options.ground);
  console.log(`machines: ${what}`);
  const isCheck = options.checks || options.check !== undefined;
  const against = await (options.random ? runRandom(open) : isCheck ? makeChecks(open) : runFaults(open));
  for (const line of against) console.log(`BROKEN: ${line}`);
  if (against.length > 0 || options.keep) console.log(`histories and logs are kept in ${folder}`);
  else rmSync(folder, { recursive: true, force: true });
  process.exitCode = against.length > 0 ? 1 : 0;
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  console.error(`logs are kept in ${folder}`);
  process.exitCode = 2;
}
