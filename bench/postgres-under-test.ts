/**
 * A throw-away PostgreSQL with pgbench's tables, tuned so that the server is quick and steady: what is measured
 * is what stands in front of it.
 */
import { existsSync } from 'node:fs';
import { mkdir, readdir } from 'node:fs/promises';
import { createServer } from 'node:net';
import { delimiter, join } from 'node:path';
import { handOver, type ServerUser } from '../src/agent/server-user.js';
import { Daemon, runOrThrow } from './child-process.js';

export interface PostgresUnderTest {
  readonly host: '127.0.0.1';
  readonly port: number;
  /** Where its unix socket lies. */
  readonly socketFolder: string;
  /** Folder of `postgres`, `psql` and `pgbench`. */
  readonly binaries: string;
  /** e.g. `PostgreSQL 15.18`. */
  readonly version: string;
  stop(): Promise<void>;
}

/** The database and the superuser that every run uses. */
export const DATABASE = 'bench';
export const USER = 'postgres';

type Settings = Readonly<Record<string, string>>;

/** Shown in the report; what is not listed has its default. */
export const SERVER_SETTINGS: Settings = {
  max_connections: '400',
  shared_buffers: '256MB',
  fsync: 'off',
  autovacuum: 'off',
  jit: 'off',
  wal_level: 'minimal',
  max_wal_senders: '0',
};

/** What a primary and its standbys need instead. */
export const STREAMING: Settings = {
  wal_level: 'replica',
  max_wal_senders: '10',
  hot_standby_feedback: 'on',
};

const NEEDED = ['initdb', 'postgres', 'psql', 'pgbench'];
const READY_MS = 60_000;

function hasBinaries(folder: string): boolean {
  return NEEDED.every((name) => existsSync(join(folder, name)));
}

/** Finds PostgreSQL's programs: `wanted`, else PATH, else the newest in the distributions' usual folders. */
export async function findBinaries(wanted: string | undefined): Promise<string> {
  const candidates = wanted === undefined ? (process.env.PATH ?? '').split(delimiter) : [wanted];
  if (wanted === undefined) {
    for (const root of ['/usr/lib/postgresql', '/usr/pgsql', '/opt/postgresql']) {
      const versions = existsSync(root) ? await readdir(root) : [];
      versions.sort((a, b) => Number.parseFloat(b) - Number.parseFloat(a));
      candidates.push(...versions.map((version) => join(root, version, 'bin')));
    }
  }
  const found = candidates.find((folder) => folder !== '' && hasBinaries(folder));
  if (found === undefined) {
    throw new Error(
      `The benchmark needs ${NEEDED.join(', ')} in one folder, and found them ` +
        `${wanted === undefined ? 'neither on PATH nor under /usr/lib/postgresql' : `not in ${wanted}`}. ` +
        'Install PostgreSQL (Debian: apt-get install postgresql), or name the folder with --postgres FOLDER.',
    );
  }
  return found;
}

/** A TCP port of 127.0.0.1 on which nobody listens at this moment. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

/** Makes a folder that belongs to `account`. */
export async function ownedFolder(path: string, account: ServerUser | null): Promise<string> {
  await mkdir(path, { recursive: true, mode: 0o755 });
  await handOver(path, account);
  return path;
}

/**
 * Creates the cluster under `folder`, starts it, and fills pgbench's tables (`scale` x 100,000 accounts).
 * @param settings win over {@link SERVER_SETTINGS}
 */
export async function startPostgres(
  folder: string,
  binaries: string,
  account: ServerUser | null,
  scale: number,
  settings: Settings = {},
): Promise<PostgresUnderTest> {
  const data = await dataFolder(folder, account);
  const as = { account, cwd: folder };
  await runOrThrow(
    join(binaries, 'initdb'),
    ['-D', data, '-U', USER, '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'],
    as,
  );
  const postgres = await launch(folder, binaries, account, settings);
  try {
    const target = ['-h', postgres.host, '-p', String(postgres.port), '-U', USER];
    await runOrThrow(
      join(binaries, 'psql'),
      [...target, '-d', 'postgres', '-qc', `CREATE DATABASE ${DATABASE}`],
      as,
    );
    await runOrThrow(join(binaries, 'pgbench'), [...target, '-i', '-q', '-s', String(scale), DATABASE], as);
    return postgres;
  } catch (error) {
    await postgres.stop();
    throw error;
  }
}

/** Starts a hot standby under `folder` that streams from `primary`, which must have been started with {@link STREAMING}. */
export async function startStandby(
  primary: PostgresUnderTest,
  folder: string,
  account: ServerUser | null,
): Promise<PostgresUnderTest> {
  const data = await dataFolder(folder, account);
  const source = ['-h', primary.host, '-p', String(primary.port), '-U', USER];
  await runOrThrow(
    join(primary.binaries, 'pg_basebackup'),
    ['-D', data, ...source, '-R', '-X', 'stream', '-c', 'fast', '--no-sync'],
    { account, cwd: folder },
  );
  return launch(folder, primary.binaries, account, STREAMING);
}

async function dataFolder(folder: string, account: ServerUser | null): Promise<string> {
  await ownedFolder(folder, account);
  return join(await ownedFolder(join(folder, 'postgres'), account), 'data');
}

/** Starts the server whose data lie under `folder`. */
async function launch(
  folder: string,
  binaries: string,
  account: ServerUser | null,
  changed: Settings,
): Promise<PostgresUnderTest> {
  const socketFolder = await ownedFolder(join(folder, 's'), account);
  const data = await dataFolder(folder, account);
  const program = join(binaries, 'postgres');
  const port = await freePort();
  const settings = Object.entries({ ...SERVER_SETTINGS, ...changed });
  const daemon = new Daemon(
    'PostgreSQL',
    program,
    [
      ...['-D', data, '-p', String(port), '-k', socketFolder, '-c', 'listen_addresses=127.0.0.1'],
      ...settings.flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    ],
    { account, cwd: socketFolder, stopSignal: 'SIGINT' }, // "fast" shutdown: without waiting for clients
  );
  try {
    await daemon.outputMatches(/ready to accept (?:read-only )?connections/, READY_MS);
    const version = await runOrThrow(program, ['--version']);
    return {
      host: '127.0.0.1',
      port,
      socketFolder,
      binaries,
      version: `PostgreSQL ${/\d+(\.\d+|devel|beta\d+)?/.exec(version)?.[0] ?? version.trim()}`,
      stop: () => daemon.stop(),
    };
  } catch (error) {
    await daemon.stop();
    throw error;
  }
}
