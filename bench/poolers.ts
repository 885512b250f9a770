/**
 * What is compared: PostgreSQL itself, PgBouncer, and Sluice on each of its drivers, with equivalent settings.
 */
import { existsSync } from 'node:fs';
import { access, constants, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ServerUser } from '../src/agent/server-user.js';
import type { Certificate } from './certificate.js';
import { Daemon, runOrThrow } from './child-process.js';
import type { ServerWay } from './options.js';
import { DATABASE, freePort, ownedFolder, type PostgresUnderTest, USER } from './postgres-under-test.js';

export type DriverName = 'uring' | 'epoll' | 'node';
export const DRIVERS: readonly DriverName[] = ['uring', 'epoll', 'node'];

/** Something that speaks PostgreSQL's protocol on 127.0.0.1. */
export interface Target {
  readonly name: string;
  readonly port: number;
  /** Whether clients speak TLS with it. */
  readonly tls: boolean;
  /** The process whose CPU time (with its children's) and memory are measured; null for PostgreSQL itself. */
  readonly pid: number | null;
  /** Another one that every query passes, and whose CPU time counts as well. */
  readonly behind?: Target;
  /** Why it can't be used any more, with its output; null while it runs. */
  failure(): Error | null;
  stop(): Promise<void>;
}

export const DIRECT = 'direct';
export const PGBOUNCER = 'PgBouncer';
export const SERVER_CONNECTIONS = 20;
const MAX_CLIENTS = 10_000;
const MAX_PREPARED_STATEMENTS = 200;
const READY_MS = 20_000;

/** Shown in the report. */
export const POOLER_SETTINGS = `transaction pooling, default_pool_size=${SERVER_CONNECTIONS}, max_client_conn=${MAX_CLIENTS}, max_prepared_statements=${MAX_PREPARED_STATEMENTS}, auth_type=trust, connections not logged`;

/** Everything that is needed to start poolers. */
export interface Surroundings {
  readonly postgres: PostgresUnderTest;
  readonly serverWay: ServerWay;
  /** Whom PgBouncer, which refuses to run as root, runs as. */
  readonly account: ServerUser | null;
  /** What clients speak TLS by; null: they don't. */
  readonly certificate: Certificate | null;
  /** A temporary folder for their files. */
  readonly folder: string;
}

/** Waits until a pooler says that it is ready; ends it and throws with its output if that does not happen. */
export async function readyTarget(
  daemon: Daemon,
  port: number,
  ready: RegExp,
  { certificate }: Pick<Surroundings, 'certificate'>,
): Promise<Target> {
  try {
    await daemon.outputMatches(ready, READY_MS);
  } catch (error) {
    await daemon.stop();
    throw error;
  }
  return {
    name: daemon.name,
    port,
    tls: certificate !== null,
    pid: daemon.pid,
    failure: () => (daemon.running ? null : daemon.failure('ended')),
    stop: () => daemon.stop(),
  };
}

/** PostgreSQL without a pooler. */
export function directTarget(postgres: PostgresUnderTest): Target {
  const { port } = postgres;
  return { name: DIRECT, port, tls: false, pid: null, failure: () => null, stop: async () => {} };
}

/** Path of PgBouncer's executable: `wanted` (which must exist), else from PATH; null if there is none. */
export async function findPgBouncer(wanted: string | undefined): Promise<string | null> {
  if (wanted === undefined) return findProgram('pgbouncer');
  await access(wanted, constants.X_OK).catch(() => {
    throw new Error(`There is no executable PgBouncer at ${wanted} (--pgbouncer, or $PGBOUNCER).`);
  });
  return wanted;
}

/** Path of a server's program, from PATH and where distributions have those; null if there is none. */
export function findProgram(name: string): string | null {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'];
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path)) ?? null;
}

/** e.g. `PgBouncer 1.25.2`. */
export async function pgBouncerVersion(executable: string): Promise<string> {
  const text = await runOrThrow(executable, ['--version']);
  return text.split('\n')[0]!.trim();
}

/** Settings of the same names in both poolers. */
function tlsSettings({ certificate }: Surroundings): Record<string, string> {
  if (certificate === null) return {};
  return {
    client_tls_sslmode: 'require',
    client_tls_cert_file: certificate.certificateFile,
    client_tls_key_file: certificate.keyFile,
  };
}

/** Whom both poolers know. */
export async function writeUsersFile(folder: string): Promise<string> {
  const file = join(folder, 'users.txt');
  await writeFile(file, `"${USER}" ""\n`, { mode: 0o644 });
  return file;
}

/** Starts PgBouncer. Throws with its output if it does not come up. */
export async function startPgBouncer(executable: string, around: Surroundings): Promise<Target> {
  const { postgres, account } = around;
  const folder = await ownedFolder(join(around.folder, 'pgbouncer'), account);
  const port = await freePort();
  const host = around.serverWay === 'unix' ? postgres.socketFolder : postgres.host;
  const usersFile = await writeUsersFile(folder);
  const configurationFile = join(folder, 'pgbouncer.ini');
  const lines = [
    '[databases]',
    `${DATABASE} = host=${host} port=${postgres.port} dbname=${DATABASE}`,
    '[pgbouncer]',
    'listen_addr = 127.0.0.1',
    `listen_port = ${port}`,
    'unix_socket_dir =',
    'auth_type = trust',
    `auth_file = ${usersFile}`,
    'pool_mode = transaction',
    `default_pool_size = ${SERVER_CONNECTIONS}`,
    `max_client_conn = ${MAX_CLIENTS}`,
    `max_prepared_statements = ${MAX_PREPARED_STATEMENTS}`,
    'log_connections = 0',
    'log_disconnections = 0',
    ...Object.entries(tlsSettings(around)).map(([name, value]) => `${name} = ${value}`),
  ];
  await writeFile(configurationFile, `${lines.join('\n')}\n`, { mode: 0o644 });
  const daemon = new Daemon(PGBOUNCER, executable, [configurationFile], {
    account,
    cwd: folder,
    stopSignal: 'SIGQUIT', // at once: newer versions take SIGTERM as "wait for the clients"
  });
  return readyTarget(daemon, port, /process up/, around);
}

/** The name of Sluice on a driver, as results show it. `also`: see {@link startSluice}. */
export function sluiceName(driver: DriverName, also: string | null = null): string {
  return also === null ? `Sluice ${driver}` : `Sluice ${driver}, ${also}`;
}

/** The built command line of this checkout (this file runs as dist/bench/poolers.js). */
export const SLUICE_MAIN = fileURLToPath(new URL('../src/cli/main.js', import.meta.url));

/** The arguments of `sluice` for a run on `driver`. */
export function sluiceArguments(
  driver: DriverName,
  port: number,
  usersFile: string,
  around: Surroundings,
): string[] {
  const { postgres, serverWay } = around;
  const server =
    serverWay === 'unix'
      ? `postgres://${USER}@/${DATABASE}?host=${encodeURIComponent(postgres.socketFolder)}&port=${postgres.port}`
      : `postgres://${USER}@${postgres.host}:${postgres.port}/${DATABASE}`;
  const settings = {
    pool_mode: 'transaction',
    default_pool_size: SERVER_CONNECTIONS,
    max_client_conn: MAX_CLIENTS,
    max_prepared_statements: MAX_PREPARED_STATEMENTS,
    auth_type: 'trust',
    auth_file: usersFile,
    log_connections: 0,
    log_disconnections: 0,
    // The folder is a temporary one, and not among the usual ones.
    server_unix_socket: serverWay === 'own' ? postgres.socketFolder : 'off',
    ...tlsSettings(around),
  };
  return [
    'serve',
    ...['--database', server],
    ...['--listen', `127.0.0.1:${port}`],
    ...['--io', driver],
    ...Object.entries(settings).flatMap(([name, value]) => ['--set', `${name}=${value}`]),
  ];
}

/**
 * Starts Sluice as a user would. Throws with its output if it does not come up.
 * @param also one more setting, `name=value`
 */
export async function startSluice(
  driver: DriverName,
  around: Surroundings,
  also: string | null = null,
): Promise<Target> {
  const port = await freePort();
  const usersFile = await writeUsersFile(around.folder);
  const more = also === null ? [] : ['--set', also];
  const args = [SLUICE_MAIN, ...sluiceArguments(driver, port, usersFile, around), ...more];
  const daemon = new Daemon(sluiceName(driver, also), process.execPath, args, { cwd: around.folder });
  const target = await readyTarget(daemon, port, /listening on/, around);
  const used = /\bdriver (uring|epoll|node)\b/.exec(daemon.output)?.[1];
  if (used !== undefined && used !== driver) {
    await target.stop();
    throw daemon.failure(`fell back to the driver ${used}, so it can't be measured`);
  }
  return target;
}

/** Something that can be started for a part of the benchmark and stopped after it. */
export interface Contender {
  readonly name: string;
  start(): Promise<Target>;
}

/** Starts all contenders, calls `measure`, and stops them whatever happens. */
export async function withTargets<T>(
  contenders: readonly Contender[],
  measure: (targets: readonly Target[]) => Promise<T>,
): Promise<T> {
  const targets: Target[] = [];
  try {
    for (const contender of contenders) targets.push(await contender.start());
    return await measure(targets);
  } finally {
    for (const target of targets) await target.stop();
  }
}
