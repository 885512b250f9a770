/**
 * What routing costs: Sluice with a primary and a standby, against Pgpool-II with the same, and against Sluice with the
 * primary alone; and what more standbys bring where the servers are the limit.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Daemon } from './child-process.js';
import { type Cell, type CellPlan, matrixSeconds, runMatrix } from './matrix.js';
import type { BenchOptions } from './options.js';
import type { Script } from './pgbench-run.js';
import { PGPOOL, pgpoolVersion, startPgpool } from './pgpool.js';
import {
  type Contender,
  type DriverName,
  findProgram,
  readyTarget,
  SERVER_CONNECTIONS,
  SLUICE_MAIN,
  type Surroundings,
  type Target,
  withTargets,
  writeUsersFile,
} from './poolers.js';
import {
  DATABASE,
  freePort,
  type PostgresUnderTest,
  STREAMING,
  startPostgres,
  startStandby,
  USER,
} from './postgres-under-test.js';
import type { Progress } from './progress.js';

/** Sluice before the primary alone. */
export const UNROUTED = 'Sluice, one host';
export const ROUTED = 'Sluice, routing';
export const ROUTED_EVENTUAL = 'Sluice, routing, eventual';
/** A gateway that only pools, in front of one that routes: two processes. */
export const TWO_TIERS = 'Sluice, two tiers';

/** One transaction in ten is pgbench's simple update: five statements, of which three write. */
const SCRIPTS: readonly Script[] = [
  { name: 'pgbench -S', arguments: ['-S'] },
  { name: '10 % writes', arguments: ['-b', 'select-only@9', '-b', 'simple-update@1'] },
];
/** A read that takes its server connection 5 ms and no CPU time: a server with so many connections is full. */
const SLOW_READ_MS = 5;
const SLOW_READ = `SELECT pg_sleep(${SLOW_READ_MS / 1000});`;
const SLOW_CONNECTIONS = 8;
const SLOW_CLIENTS = 32;
export const ONE_STANDBY = 'one standby';
export const TWO_STANDBYS = 'two standbys';
const START_SECONDS = 15;

/** What was measured. */
export interface RoutingFigures {
  readonly cells: readonly Cell[];
  /** Slow reads, by the number of standbys. */
  readonly scaling: Cell;
  readonly versions: readonly string[];
  /** Sentences about what was left out. */
  readonly remarks: readonly string[];
}

/** Sluice in one configuration. */
interface Setting {
  readonly name: string;
  /** One: it is given as the database's host, and nothing is routed. */
  readonly nodes: readonly { readonly port: number }[];
  readonly settings?: Readonly<Record<string, string | number>>;
}

type Around = Omit<Surroundings, 'postgres'>;

function plansOf({ modes, rounds, seconds }: BenchOptions, clients: number): CellPlan[] {
  return SCRIPTS.flatMap((script) => modes.map((mode) => ({ mode, clients, rounds, seconds, script })));
}

/** About how long it takes, in s. */
export function routingSeconds(options: BenchOptions): number {
  const plans = options.routingClients.flatMap((clients) => plansOf(options, clients));
  return START_SECONDS + matrixSeconds(plans, 5) + 2 * options.rounds * options.seconds;
}

/** Starts a cluster of its own and measures. */
export async function measureRouting(
  options: BenchOptions,
  around: Around,
  binaries: string,
  progress: Progress,
): Promise<RoutingFigures> {
  const { folder, account } = around;
  progress.line('starting a primary and two standbys');
  const primary = await startPostgres(join(folder, 'primary'), binaries, account, options.scale, STREAMING);
  const nodes = [primary];
  try {
    for (const name of ['standby-1', 'standby-2']) {
      nodes.push(await startStandby(primary, join(folder, name), account));
    }
    progress.spent(START_SECONDS);
    const pgpool = findProgram('pgpool');
    const cells: Cell[] = [];
    for (const clients of options.routingClients) {
      cells.push(...(await measureCost(options, clients, around, nodes.slice(0, 2), pgpool, progress)));
    }
    const scaling = await measureScaling(options, around, nodes, progress);
    const versions = [primary.version, ...(pgpool === null ? [] : [await pgpoolVersion(pgpool)])];
    const remarks =
      pgpool === null
        ? [`${PGPOOL} is not installed, so there are no ratios to it (apt-get install pgpool2).`]
        : [];
    return { cells, scaling, versions, remarks };
  } finally {
    for (const node of nodes.reverse()) await node.stop();
  }
}

function measureCost(
  options: BenchOptions,
  clients: number,
  around: Around,
  nodes: readonly PostgresUnderTest[],
  pgpool: string | null,
  progress: Progress,
): Promise<Cell[]> {
  const [primary] = nodes as [PostgresUnderTest];
  const contenders = [
    { name: UNROUTED, nodes: [primary] },
    { name: ROUTED, nodes },
    { name: ROUTED_EVENTUAL, nodes, settings: { consistency: 'eventual' } },
  ].map((setting) => contender(options, around, setting));
  const routed = { name: ROUTED, nodes };
  contenders.push({ name: TWO_TIERS, start: () => startTwoTiers(options.drivers[0]!, around, routed) });
  if (pgpool !== null) {
    const start = () => startPgpool(pgpool, clients, nodes, around.account, around.folder);
    contenders.unshift({ name: PGPOOL, start });
  }
  return withTargets(contenders, (targets) =>
    runMatrix(primary, targets, plansOf(options, clients), join(around.folder, 'logs'), progress),
  );
}

async function measureScaling(
  options: BenchOptions,
  around: Around,
  nodes: readonly PostgresUnderTest[],
  progress: Progress,
): Promise<Cell> {
  const file = join(around.folder, 'slow-read.sql');
  await writeFile(file, `${SLOW_READ}\n`);
  const { rounds, seconds } = options;
  const script = { name: `reads of ${SLOW_READ_MS} ms`, arguments: ['-f', file] };
  const plan: CellPlan = { mode: 'simple', clients: SLOW_CLIENTS, rounds, seconds, script };
  const contenders = [1, 2].map((count) =>
    contender(options, around, {
      name: count === 1 ? ONE_STANDBY : TWO_STANDBYS,
      nodes: nodes.slice(0, 1 + count),
      settings: { default_pool_size: SLOW_CONNECTIONS },
    }),
  );
  const [cell] = await withTargets(contenders, (targets) =>
    runMatrix(nodes[0]!, targets, [plan], join(around.folder, 'logs'), progress),
  );
  return cell!;
}

function contender({ drivers }: BenchOptions, around: Around, setting: Setting): Contender {
  return { name: setting.name, start: () => startRouting(drivers[0]!, around, setting) };
}

async function startTwoTiers(driver: DriverName, around: Around, setting: Setting): Promise<Target> {
  const behind = await startRouting(driver, around, setting);
  try {
    const front = await startRouting(driver, around, { name: TWO_TIERS, nodes: [behind] });
    const stop = async (): Promise<void> => {
      await front.stop();
      await behind.stop();
    };
    return { ...front, behind, failure: () => front.failure() ?? behind.failure(), stop };
  } catch (error) {
    await behind.stop();
    throw error;
  }
}

/** All reach PostgreSQL by TCP, as Pgpool-II does. Throws with its output if it does not come up. */
async function startRouting(driver: DriverName, around: Around, setting: Setting): Promise<Target> {
  const { name, nodes } = setting;
  const places = nodes.map(({ port }) => `127.0.0.1:${port}`);
  const url =
    places.length === 1
      ? `postgres://${USER}@${places[0]}/${DATABASE}`
      : `postgres://${USER}@/${DATABASE}?nodes=${places.join(',')}`;
  const port = await freePort();
  const settings = {
    pool_mode: 'transaction',
    default_pool_size: SERVER_CONNECTIONS,
    auth_type: 'trust',
    auth_file: await writeUsersFile(around.folder),
    log_connections: 0,
    log_disconnections: 0,
    server_unix_socket: 'off',
    ...setting.settings,
  };
  const args = [
    ...[SLUICE_MAIN, 'serve', '--database', url, '--listen', `127.0.0.1:${port}`, '--io', driver],
    ...Object.entries(settings).flatMap(([key, value]) => ['--set', `${key}=${value}`]),
  ];
  const daemon = new Daemon(name, process.execPath, args, { cwd: around.folder });
  return readyTarget(daemon, port, /listening on/, around);
}
