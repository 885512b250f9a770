/** What a server has room for, as it says itself. */
import pg from 'pg';
import type { SluiceConfig } from '../../config/load.js';
import type { TlsMaterial } from '../../config/tls.js';
import type { ServerAddress } from '../../core/io.js';
import type { TlsMode } from '../../core/settings.js';

/** A server's limits and use. Memory in bytes. */
export interface ServerFacts {
  readonly version: string;
  readonly maxConnections: number;
  readonly superuserReserved: number;
  /** `reserved_connections`, for roles with pg_use_reserved_connections; PostgreSQL 16 and newer, else 0. */
  readonly otherReserved: number;
  /** Sessions of clients at the moment, without the one that asked. */
  readonly inUse: number;
  readonly sharedBuffers: number;
  readonly workMem: number;
  readonly hashMemMultiplier: number;
}

/** Whom to log in as. */
export interface Login {
  readonly user: string;
  readonly password: string | null;
  readonly database: string;
}

/** Settings come with their unit (8kB pages, kB) and are made bytes here. numbackends is visible to every user. */
const QUESTION = `
  SELECT pg_catalog.current_setting('server_version') AS version,
         s.name, s.setting, s.unit,
         (SELECT pg_catalog.sum(numbackends) FROM pg_catalog.pg_stat_database) AS in_use
    FROM pg_catalog.pg_settings AS s
   WHERE s.name IN ('max_connections', 'superuser_reserved_connections', 'reserved_connections',
                    'shared_buffers', 'work_mem', 'hash_mem_multiplier')`;

const UNIT_BYTES: Readonly<Record<string, number>> = { B: 1, kB: 1024, '8kB': 8192, MB: 1024 ** 2 };
/** PostgreSQL's refusal of an unencrypted connection, or of an encrypted one (pg_hba.conf). */
const HBA_REFUSAL = '28000';

/**
 * Asks one server. `timeoutMs` bounds connecting, and the question.
 * @throws the driver's error when it can't be reached or refuses
 */
export async function askServer(
  address: ServerAddress,
  login: Login,
  { values, tls }: Pick<SluiceConfig, 'values' | 'tls'>,
  timeoutMs: number,
): Promise<ServerFacts> {
  const ways =
    'host' in address ? encryptionWays(values.server_tls_sslmode, tls.server, address.host) : [false];
  for (const [index, ssl] of ways.entries()) {
    try {
      return await ask(address, login, ssl, timeoutMs);
    } catch (error) {
      const isLast = index === ways.length - 1;
      if (isLast || !mayBeAboutEncryption(error as Error & { code?: string })) throw error;
    }
  }
  throw new Error('there is no way to connect');
}

type Encryption = NonNullable<pg.ClientConfig['ssl']>;

/** libpq's order for each mode: what is tried first, and then. */
function encryptionWays(mode: TlsMode, material: TlsMaterial | null, host: string): readonly Encryption[] {
  const encrypted: Encryption = {
    rejectUnauthorized: mode === 'verify-ca' || mode === 'verify-full',
    ...(material?.authorities && { ca: material.authorities }),
    ...(material?.certificate && { cert: material.certificate }),
    ...(material?.key && { key: material.key }),
    ...(mode === 'verify-full' ? { servername: host } : { checkServerIdentity: () => undefined }),
  };
  if (mode === 'disable') return [false];
  if (mode === 'allow') return [false, encrypted];
  return mode === 'prefer' ? [encrypted, false] : [encrypted];
}

function mayBeAboutEncryption({ code, message }: Error & { code?: string }): boolean {
  return code === HBA_REFUSAL || /does not support SSL|SSL|TLS/i.test(message);
}

async function ask(
  address: ServerAddress,
  { user, password, database }: Login,
  ssl: Encryption,
  timeoutMs: number,
): Promise<ServerFacts> {
  const client = new pg.Client({
    ...place(address),
    user,
    database,
    // A function, so that neither PGPASSWORD nor ~/.pgpass stands in for a password that isn't there.
    password: password ?? (() => ''),
    ssl,
    connectionTimeoutMillis: timeoutMs,
    query_timeout: timeoutMs,
    application_name: 'sluice check',
  });
  // What breaks later is told by the call that waits.
  client.on('error', () => {});
  try {
    await client.connect();
    const { rows } = await client.query<SettingsRow>(QUESTION);
    return factsFrom(rows);
  } finally {
    await client.end().catch(() => {});
  }
}

function place(address: ServerAddress): { readonly host: string; readonly port: number } {
  if ('host' in address) return address;
  const [, folder, port] = /^(.*)\/\.s\.PGSQL\.(\d+)$/.exec(address.socketPath) ?? [];
  return { host: folder ?? address.socketPath, port: Number(port) };
}

interface SettingsRow {
  readonly version: string;
  readonly name: string;
  readonly setting: string;
  readonly unit: string | null;
  readonly in_use: string;
}

function factsFrom(rows: readonly SettingsRow[]): ServerFacts {
  const setting = (name: string): number => {
    const row = rows.find((it) => it.name === name);
    return row === undefined ? 0 : Number(row.setting) * (UNIT_BYTES[row.unit ?? 'B'] ?? 1);
  };
  return {
    version: rows[0]?.version ?? 'unknown',
    maxConnections: setting('max_connections'),
    superuserReserved: setting('superuser_reserved_connections'),
    otherReserved: setting('reserved_connections'),
    inUse: Math.max(0, Number(rows[0]?.in_use ?? 1) - 1),
    sharedBuffers: setting('shared_buffers'),
    workMem: setting('work_mem'),
    hashMemMultiplier: setting('hash_mem_multiplier') || 1,
  };
}
