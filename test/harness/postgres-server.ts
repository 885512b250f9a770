/**
 * A throw-away PostgreSQL server for tests. Its data folder is a copy of a template that is made once per run, it
 * listens on a free loopback port and a unix socket, and durability is off.
 */
import type { ChildProcess } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { start, succeed } from './command.js';
import { postgresProgram, serverIdentity } from './postgres-binaries.js';
import { freePort, scratchFolder, scratchRoot } from './scratch.js';
import { until } from './until.js';

/** Exists in every server: a superuser, who needs no password. */
export const SUPERUSER = 'postgres';
/** Exists in every server; empty. */
export const DATABASE = 'app';

export interface PostgresOptions {
  /** Passed as `-c name=value`; those of the port and the sockets' folders win over the harness's own. */
  readonly settings?: Readonly<Record<string, string | number>>;
  /** Lines of pg_hba.conf. Default: everybody is trusted. */
  readonly hba?: readonly string[];
}

const TRUST = [
  'local all all trust',
  'host all all 127.0.0.1/32 trust',
  'host replication all 127.0.0.1/32 trust',
];
const READY = /ready to accept (?:read-only )?connections/;
const START_LIMIT_MS = 60_000;

const FAST_SETTINGS: Readonly<Record<string, string | number>> = {
  fsync: 'off',
  synchronous_commit: 'off',
  full_page_writes: 'off',
  shared_buffers: '32MB',
  max_connections: 100,
  autovacuum: 'off',
  log_checkpoints: 'off',
  log_line_prefix: '%p ',
  timezone: 'UTC',
};

export class PostgresServer {
  readonly host = '127.0.0.1';
  port = 0;
  /** The folder of the unix socket. */
  readonly socketFolder: string;
  readonly #data: string;
  readonly #settings: Readonly<Record<string, string | number>>;
  #child: ChildProcess | null = null;
  #log = '';

  private constructor(folder: string, options: PostgresOptions) {
    this.socketFolder = folder;
    this.#data = join(folder, 'data');
    this.#settings = { ...FAST_SETTINGS, ...options.settings };
    writeFileSync(join(this.#data, 'pg_hba.conf'), `${(options.hba ?? TRUST).join('\n')}\n`);
  }

  static async start(options: PostgresOptions = {}): Promise<PostgresServer> {
    const template = await dataTemplate();
    const folder = scratchFolder('pg');
    own(folder);
    await succeed('cp', ['-a', template, join(folder, 'data')]);
    const server = new PostgresServer(folder, options);
    await server.restart();
    return server;
  }

  /** A hot standby that streams from this server, which is restarted for that. */
  async startStandby(settings: PostgresOptions['settings'] = {}): Promise<PostgresServer> {
    const folder = scratchFolder('standby');
    own(folder);
    const data = join(folder, 'data');
    await this.stop();
    await succeed('cp', ['-a', this.#data, data]);
    rmSync(join(data, 'postmaster.pid'), { force: true });
    writeFileSync(join(data, 'standby.signal'), '');
    own(join(data, 'standby.signal'));
    await this.restart();
    const source = `host=${this.host} port=${this.port} user=${SUPERUSER}`;
    const standby = new PostgresServer(folder, {
      settings: { ...this.#settings, hot_standby_feedback: 'on', primary_conninfo: source, ...settings },
    });
    await standby.restart();
    return standby;
  }

  /** Resolves when `standby` shows everything that is committed here now. */
  async replayedBy(standby: PostgresServer): Promise<void> {
    const [position] = await this.query('SELECT pg_current_wal_insert_lsn() AS lsn');
    await until('the standby to catch up', async () => {
      const [row] = await standby.query(`SELECT pg_last_wal_replay_lsn() >= '${position?.lsn}' AS done`);
      return row?.done === true;
    });
  }

  /** The socket file. */
  get socketPath(): string {
    return join(this.socketFolder, `.s.PGSQL.${this.port}`);
  }

  /** What the server has logged since it was started first. */
  get log(): string {
    return this.#log;
  }

  get pid(): number {
    if (this.#child?.pid === undefined) throw new Error('the server is not running');
    return this.#child.pid;
  }

  /** `postgres://user:password@127.0.0.1:port/database` */
  url(user: string | null = SUPERUSER, database: string = DATABASE, password?: string): string {
    const secret = password === undefined ? '' : `:${encodeURIComponent(password)}`;
    const login = user === null ? '' : `${encodeURIComponent(user)}${secret}@`;
    return `postgres://${login}${this.host}:${this.port}/${database}`;
  }

  /** Starts the server (again, on the same port, if it ran before). */
  async restart(): Promise<void> {
    if (this.#child !== null) await this.stop();
    for (let attempt = 1; ; attempt++) {
      const firstStart = this.port === 0;
      if (firstStart) this.port = await freePort();
      if (await this.#launch()) return;
      // Somebody may have taken the port between the look and the start.
      if (!firstStart || attempt === 5) throw new Error(`PostgreSQL did not start:\n${this.#log}`);
      this.port = 0;
    }
  }

  async #launch(): Promise<boolean> {
    const child = launchServer(this.#data, {
      listen_addresses: this.host,
      port: this.port,
      unix_socket_directories: this.socketFolder,
      ...this.#settings,
    });
    this.#child = child;
    const seen = this.#log.length;
    child.stderr?.on('data', (chunk: Buffer) => {
      this.#log += chunk.toString();
    });
    await until(
      'PostgreSQL to accept connections',
      () => hasEnded(child) || READY.test(this.#log.slice(seen)),
      START_LIMIT_MS,
    );
    if (hasEnded(child)) this.#child = null;
    return this.#child !== null;
  }

  /** Runs statements as the superuser on a connection of their own, past any gateway. */
  async query(sql: string, database: string = DATABASE): Promise<pg.QueryResultRow[]> {
    const client = new pg.Client({ host: this.host, port: this.port, user: SUPERUSER, database });
    await client.connect();
    try {
      const answer: pg.QueryResult | pg.QueryResult[] = await client.query(sql);
      return (Array.isArray(answer) ? answer.at(-1) : answer)?.rows ?? [];
    } finally {
      await client.end();
    }
  }

  /** How many client connections the server has, ours for asking not counted. */
  async connections(): Promise<number> {
    const rows = await this.query(
      `SELECT count(*)::int AS n FROM pg_stat_activity
       WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()`,
    );
    return rows[0]?.n;
  }

  /** Shuts down: `fast` ends all sessions orderly, `immediate` as a crash does. */
  async stop(mode: 'fast' | 'immediate' = 'fast'): Promise<void> {
    const child = this.#child;
    if (child === null) return;
    child.kill(mode === 'fast' ? 'SIGINT' : 'SIGQUIT');
    try {
      await until('PostgreSQL to shut down', () => hasEnded(child), 20_000);
    } catch {
      child.kill('SIGQUIT');
      await until('PostgreSQL to shut down at once', () => hasEnded(child));
    }
    this.#child = null;
  }

  /** Stops the server and removes its data. */
  async discard(): Promise<void> {
    await this.stop('immediate');
    rmSync(this.socketFolder, { recursive: true, force: true });
  }
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

function launchServer(data: string, settings: Readonly<Record<string, string | number>>): ChildProcess {
  const args = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  return start(postgresProgram('postgres'), ['-D', data, ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
    cwd: data,
    env: { ...process.env, LC_ALL: 'C' },
    ...serverIdentity(),
  });
}

function own(path: string): void {
  const { uid, gid } = serverIdentity();
  if (uid !== undefined && gid !== undefined) chownSync(path, uid, gid);
}

/** Makes the template, or waits for the process that is making it: making the folder is the lock. */
async function dataTemplate(): Promise<string> {
  const folder = join(scratchRoot(), 'template');
  const data = join(folder, 'data');
  try {
    mkdirSync(folder);
  } catch {
    await until('the template of data folders', () => existsSync(data), START_LIMIT_MS);
    return data;
  }
  own(folder);
  const unfinished = join(folder, 'unfinished');
  const identity = serverIdentity();
  const locale = ['--encoding=UTF8', '--locale=C', '--auth=trust', '--no-sync', '--no-instructions'];
  await succeed(postgresProgram('initdb'), ['-D', unfinished, '-U', SUPERUSER, ...locale], {
    ...identity,
    cwd: folder,
    env: { LC_ALL: 'C' },
  });
  await succeed(postgresProgram('postgres'), ['--single', '-D', unfinished, '-c', 'fsync=off', 'postgres'], {
    ...identity,
    cwd: folder,
    input: `CREATE DATABASE ${DATABASE};\n`,
  });
  renameSync(unfinished, data);
  return data;
}
