/**
 * The command line of the benchmark.
 */
import { Command, InvalidArgumentError, Option } from 'commander';
import { KEY_KINDS, type KeyKind } from './certificate.js';
import { QUERY_MODES, type QueryMode } from './pgbench-run.js';
import { DRIVERS, type DriverName } from './poolers.js';

export type Part = 'matrix' | 'connect' | 'big' | 'stall' | 'idle' | 'routing';
export const PARTS: readonly Part[] = ['matrix', 'connect', 'big', 'stall', 'idle', 'routing'];
const CLIENTS: readonly number[] = [1, 32, 300];
/** More than there are server connections, and far more: Pgpool-II has a process for each, and that a connection to each node. */
const ROUTING_CLIENTS: readonly number[] = [32, 128];

/** The parts whose clients can speak TLS. */
const TLS_PARTS: readonly Part[] = ['matrix', 'connect'];

/**
 * How poolers reach PostgreSQL: all are given its TCP address, and Sluice takes the unix socket by itself (`own`), or may not
 * (`tcp`); or all are given its unix socket.
 */
export type ServerWay = 'own' | 'tcp' | 'unix';

export interface BenchOptions {
  readonly parts: readonly Part[];
  readonly modes: readonly QueryMode[];
  readonly clients: readonly number[];
  /** The same in the part about routing. */
  readonly routingClients: readonly number[];
  readonly rounds: number;
  /** Duration of one pgbench run. */
  readonly seconds: number;
  readonly drivers: readonly DriverName[];
  /** The drivers were asked for: one that does not start is an error, and is not merely left out. */
  readonly driversAsked: boolean;
  readonly idleClients: number;
  readonly gigabytes: number;
  readonly stallSeconds: number;
  readonly scale: number;
  readonly serverWay: ServerWay;
  /** Clients speak TLS with the poolers, by a certificate with such a key; null: they don't. */
  readonly tls: KeyKind | null;
  /** A setting with which each driver of Sluice runs once more, `name=value`; null: none. */
  readonly also: string | null;
  readonly quick: boolean;
  readonly pgbouncer: string | undefined;
  readonly postgres: string | undefined;
  /** Where the report goes; null: nowhere; undefined: bench/results. */
  readonly output: string | null | undefined;
}

function positive(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new InvalidArgumentError('Expected a whole number from 1.');
  return value;
}

function positiveDecimal(text: string): number {
  const value = Number(text);
  if (!(value > 0) || !Number.isFinite(value)) throw new InvalidArgumentError('Expected a number above 0.');
  return value;
}

/** Reads a comma-separated list of words out of `known`. */
function listOf<T extends string>(known: readonly T[]): (text: string) => T[] {
  return (text) => {
    const words = text.split(',').map((word) => word.trim());
    for (const word of words) {
      if (!known.includes(word as T)) {
        throw new InvalidArgumentError(`"${word}" is none of ${known.join(', ')}.`);
      }
    }
    return words as T[];
  };
}

function numbers(text: string): number[] {
  return text.split(',').map((word) => positive(word.trim()));
}

const HELP = `
What is compared: PostgreSQL without a pooler (direct), PgBouncer (if installed), and Sluice on each driver, all on
this machine. A throw-away PostgreSQL is started for it; nothing of yours is touched, nothing is left behind.

Parts (--only):
  matrix  pgbench -S in every query mode at every number of clients: throughput, latency, and the CPU time of the
          pooler's process per transaction
  connect the same with a new connection for every transaction (pgbench -C)
  big     one result of a gigabyte: throughput and CPU
  stall   memory of the pooler while the reader of such a result stands still
  idle    memory per idle client
  routing a primary with standbys: what routing costs, against Pgpool-II (if installed) and against Sluice without routing,
          pgbench -S and a mix with 10 % writes; and what a second standby brings

Read ratios, not times: the machine's speed drifts, so all targets take turns in every round, and each round is
compared within itself. On a machine that does other work, use more rounds rather than longer ones.

Examples:
  npm run bench                                          everything
  npm run bench -- --quick                               a few minutes, to see whether something broke
  npm run bench -- --only matrix --modes simple --clients 32 --drivers uring --rounds 10
  npm run bench -- --only matrix --clients 1 --rounds 20 latency, where noise is largest
  npm run bench -- --only routing --modes prepared       one primary, one standby, Pgpool-II
  npm run bench -- --tls --clients 32                    clients by TLS: transactions and handshakes
  PGBOUNCER=/opt/pgbouncer/bin/pgbouncer npm run bench   against a PgBouncer of your own
`;

interface Parsed {
  only?: Part[];
  modes: QueryMode[];
  clients?: number[];
  rounds?: number;
  seconds?: number;
  drivers?: DriverName[];
  idleClients?: number;
  gigabytes?: number;
  stallSeconds: number;
  scale: number;
  unix?: true;
  tcp?: true;
  also?: string;
  tls?: KeyKind | true;
  quick?: true;
  pgbouncer?: string;
  postgres?: string;
  output?: string | false;
}

function command(): Command {
  return new Command('bench')
    .description('Compares Sluice with PgBouncer and with PostgreSQL alone.')
    .addOption(
      new Option(
        '--only <parts>',
        `parts to run (${PARTS.join()}; with --tls: ${TLS_PARTS.join()})`,
      ).argParser(listOf(PARTS)),
    )
    .addOption(
      new Option('--modes <modes>', "pgbench's query modes")
        .argParser(listOf(QUERY_MODES))
        .default(QUERY_MODES, QUERY_MODES.join()),
    )
    .option(
      '--clients <numbers>',
      `numbers of clients (${CLIENTS.join()}; routing: ${ROUTING_CLIENTS.join()})`,
      numbers,
    )
    .option('--rounds <n>', 'rounds of every comparison (5; quick: 2)', positive)
    .option('--seconds <n>', 'duration of a pgbench run (5; quick: 1)', positive)
    .option(
      '--drivers <names>',
      `drivers of Sluice (${DRIVERS.join()}, as far as they work here)`,
      listOf(DRIVERS),
    )
    .option('--idle-clients <n>', 'clients in the idle part (5000; quick: 1000)', positive)
    .option('--gigabytes <n>', 'size of the big result (1; quick: 0.2)', positiveDecimal)
    .option('--stall-seconds <n>', 'how long the stalled reader stands still', positive, 5)
    .option('--scale <n>', "pgbench's scale factor: 100,000 rows each", positive, 10)
    .addOption(new Option('--unix', 'all poolers are given the unix socket of PostgreSQL').conflicts('tcp'))
    .option(
      '--tcp',
      'Sluice, too, reaches PostgreSQL by TCP, and not by its unix socket as it does by itself',
    )
    .addOption(
      new Option(
        '--tls [key]',
        'clients speak TLS with the poolers, by a certificate with such a key (ec)',
      ).choices(KEY_KINDS),
    )
    .option(
      '--also <setting>',
      'each driver of Sluice once more, with one setting changed (session_state=classic)',
    )
    .option('--quick', 'short runs: figures for orientation only')
    .addOption(new Option('--pgbouncer <path>', "PgBouncer's executable (else from PATH)").env('PGBOUNCER'))
    .option(
      '--postgres <folder>',
      'folder of postgres, initdb, psql and pgbench (else from PATH, else the newest)',
    )
    .option('--output <file>', 'where to write the report as Markdown (bench/results/DATE-MACHINE.md)')
    .option('--no-output', 'write no report')
    .addHelpText('after', HELP);
}

/** Reads the arguments after the script's name. Prints help or what is wrong, and ends the process, where that is due. */
export function readOptions(argv: readonly string[]): BenchOptions {
  const parsed = command().parse(argv, { from: 'user' }).opts<Parsed>();
  const quick = parsed.quick === true;
  const tls = parsed.tls === true ? 'ec' : (parsed.tls ?? null);
  const possible = tls === null ? PARTS : TLS_PARTS;
  const parts = parsed.only ?? possible;
  const impossible = parts.find((part) => !possible.includes(part));
  if (impossible !== undefined) {
    command().error(
      `error: part ${impossible} has no clients with TLS; --tls goes with ${TLS_PARTS.join()}.`,
    );
  }
  return {
    parts,
    tls,
    modes: parsed.modes,
    clients: parsed.clients ?? CLIENTS,
    routingClients: parsed.clients ?? ROUTING_CLIENTS,
    rounds: parsed.rounds ?? (quick ? 2 : 5),
    seconds: parsed.seconds ?? (quick ? 1 : 5),
    drivers: parsed.drivers ?? DRIVERS,
    driversAsked: parsed.drivers !== undefined,
    idleClients: parsed.idleClients ?? (quick ? 1000 : 5000),
    gigabytes: parsed.gigabytes ?? (quick ? 0.2 : 1),
    stallSeconds: parsed.stallSeconds,
    scale: parsed.scale,
    serverWay: parsed.unix === true ? 'unix' : parsed.tcp === true ? 'tcp' : 'own',
    also: parsed.also ?? null,
    quick,
    pgbouncer: parsed.pgbouncer,
    postgres: parsed.postgres,
    output: parsed.output === false ? null : typeof parsed.output === 'string' ? parsed.output : undefined,
  };
}
