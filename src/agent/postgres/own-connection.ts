/**
 * The agent's own connections to PostgreSQL. Each pins what could change the meaning or the time of its statements: the
 * search_path, timeouts, and that its commits wait for no standby.
 */
import type { ConnectionOptions } from 'node:tls';
import pg from 'pg';
import type { Login } from './postgres-side.js';

/** Where, and as whom. */
export interface OwnConnectionSettings {
  /** A name, an address, or the folder of a unix socket. */
  readonly host: string;
  readonly port: number;
  readonly login: Login;
  /** False, as over a unix socket: not at all. */
  readonly ssl?: false | ConnectionOptions;
  readonly database?: string;
  /** After so long a statement counts as failed. ms. */
  readonly patienceMs?: number;
  /** Commits wait for standbys, as those of clients do. */
  readonly isSynchronous?: boolean;
}

const CONNECT_MS = 3_000;
/** After so long a statement counts as failed where nothing else is said. */
export const STATEMENT_MS = 5_000;
/** For the last words of a connection. */
const FAREWELL_MS = 1_000;

/** The agent's sessions, as pg_stat_activity shows them. */
export const OWN_APPLICATION = 'sluice agent';

/** Connects. Rejects when that fails; whoever has the client ends it. */
export async function connectOwn(settings: OwnConnectionSettings): Promise<pg.Client> {
  const { host, port, login, patienceMs = STATEMENT_MS, ssl = false, database = 'postgres' } = settings;
  const options = [
    'search_path=pg_catalog,pg_temp',
    `synchronous_commit=${settings.isSynchronous === true ? 'on' : 'local'}`,
    'default_transaction_read_only=off',
    'statement_timeout=0',
    'lock_timeout=2s',
    'client_min_messages=warning',
  ];
  const client = new pg.Client({
    ...{ host, port, user: login.user, database, ssl },
    ...(login.password === null ? {} : { password: login.password }),
    application_name: OWN_APPLICATION,
    options: options.map((option) => `-c ${option}`).join(' '),
    connectionTimeoutMillis: CONNECT_MS,
    // A statement that hangs (a stopped server, a stuck disk) must not hold the agent.
    query_timeout: patienceMs,
  });
  // The server may go away at any moment; the statement that waits then is rejected, and that is enough.
  client.on('error', () => {});
  try {
    await client.connect();
  } catch (error) {
    closeOwn(client);
    throw error;
  }
  return client;
}

/** Ends a connection, and doesn't wait for that: its server may be standing still. */
export function closeOwn(client: pg.Client): void {
  client.end().catch(() => {});
  setTimeout(() => abandon(client), FAREWELL_MS).unref();
}

/** Breaks a connection off without a word. */
export function abandon(client: pg.Client): void {
  (client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
}

/** Runs `work` on a connection of its own. */
export async function withOwn<T>(
  settings: OwnConnectionSettings,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = await connectOwn(settings);
  try {
    return await work(client);
  } finally {
    closeOwn(client);
  }
}
