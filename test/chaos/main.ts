/** `npm run chaos`: what becomes of clients and their writes when things break. `--help` says more. */
import { chmodSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { type ClusterUnderTest, machines } from './clusters/cluster-under-test.js';
import { missingPrograms } from './clusters/etcd.js';
import { FAULTS, type FaultName } from './faults.js';
import { NamespaceGround, whyNoNamespaces } from './ground/namespaces.js';
import { writeHistory } from './load/history.js';
import { roundLines, summary } from './report.js';
import { ORDINARY_LIMITS, prepareSet, type Round, runRound, startLoad } from './round.js';
import { STACKS, type Stack, type StackName } from './stacks.js';
import { broken } from './verdict.js';

const HELP = `
Three database nodes, two gateways, a store and two machines of clients, each a network namespace of its own. Clients add unique
numbers to a set: alone, in transactions, with rests, and with rests inside of transactions. Every operation is recorded.

What is put to the test (--only):
${Object.entries(STACKS)
  .map(([name, { what }]) => `  ${name.padEnd(14)} ${what}`)
  .join('\n')}

Faults (--fault):
${Object.entries(FAULTS)
  .map(([name, { what }]) => `  ${name.padEnd(14)} ${what}`)
  .join('\n')}

Ends with 0 when what the stack promises was kept, with 1 when not, with 2 when it could not be run. Histories and logs of rounds
that break a promise are kept. SLUICE_CHAOS_PGBOUNCER names another PgBouncer than the one in PATH.

Examples:
  npm run chaos -- --only repmgr --fault kill --tuned
  npm run chaos -- --only patroni-chain --fault down --rounds 3`;

interface Parsed {
  only: StackName;
  fault: FaultName;
  rounds: number;
  stores: '1' | '3';
  tuned?: boolean;
  keep?: boolean;
}

function positive(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new InvalidArgumentError('Expected a whole number from 1.');
  return value;
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
    .option('--rounds <n>', 'how often', positive, 1)
    .addOption(new Option('--stores <n>', 'members of the store').choices(['1', '3']).default('1'))
    .option('--tuned', "timeouts as short as the others' programs allow, in place of their defaults")
    .option('--keep', 'keep histories and logs of all rounds')
    .addHelpText('after', HELP)
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2))
    .parse()
    .opts<Parsed>();
}

const options = readOptions();
const stack: Stack = STACKS[options.only];
const folder = mkdtempSync(join(tmpdir(), 'sluice-chaos-'));
chmodSync(folder, 0o755);
const rounds: Round[] = [];
const against: string[] = [];

async function withCluster(
  index: number,
  use: (cluster: ClusterUnderTest, ground: NamespaceGround) => Promise<void>,
) {
  const stores = options.stores === '3' ? 3 : 1;
  const ground = await NamespaceGround.create(machines(stores));
  const home = join(folder, `cluster-${index}`);
  mkdirSync(home, { mode: 0o777 });
  chmodSync(home, 0o777);
  const cluster = stack.build({ ground, folder: home, stores, tuned: options.tuned === true });
  try {
    await cluster.start();
    if (index === 1) for (const line of await cluster.describe()) console.log(`  ${line}`);
    await use(cluster, ground);
  } finally {
    await ground.repair().catch(console.error);
    await cluster.stop().catch(console.error);
    await ground.discard();
  }
}

async function run(count: number, index: number): Promise<void> {
  await withCluster(index, async (cluster, ground) => {
    await prepareSet(cluster);
    const load = startLoad(ground, cluster);
    try {
      for (let i = 0; i < count; i++) {
        const limits = stack.isFreshEachRound ? { ...ORDINARY_LIMITS, rejoinMs: 30_000 } : ORDINARY_LIMITS;
        const round = await runRound(ground, cluster, load, FAULTS[options.fault], limits);
        rounds.push(round);
        console.log(`round ${rounds.length}`);
        for (const line of roundLines(round)) console.log(`  ${line}`);
        const found = broken(stack.promises, FAULTS[options.fault], round);
        for (const line of found) console.log(`  BROKEN: ${line}`);
        against.push(...found);
        writeFileSync(join(folder, `history-${rounds.length}.jsonl`), writeHistory(round.history));
      }
    } finally {
      await load.stop();
    }
  });
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(2));
try {
  const reason = whyNoNamespaces();
  if (reason !== null) throw new Error(reason);
  const missing = await missingPrograms(stack.needs);
  if (missing.length > 0) throw new Error(`missing on this machine: ${missing.join(', ')}`);
  console.log(`${stack.what}: ${FAULTS[options.fault].what}`);
  if (stack.isFreshEachRound) for (let i = 1; i <= options.rounds; i++) await run(1, i);
  else await run(options.rounds, 1);
  console.log(summary(rounds));
  if (against.length > 0 || options.keep) console.log(`histories and logs are kept in ${folder}`);
  process.exitCode = against.length > 0 ? 1 : 0;
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  console.error(`logs are kept in ${folder}`);
  process.exitCode = 2;
}
