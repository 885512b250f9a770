/** Makes the core's settings out of a checked configuration. */
import { pbkdf2, randomBytes } from 'node:crypto';
import path from 'node:path';
import { promisify } from 'node:util';
import type { ServerAddress } from '../core/io.js';
import {
  type DatabaseSettings,
  type GatewaySettings,
  NO_DATABASE_SETTINGS,
  NO_EXTRA_SETTINGS,
  type UserSecret,
  type UserSettings,
} from '../core/settings.js';
import { makeScramVerifier, parseScramVerifier, saslPrep } from '../wire/scram.js';
import { type KnownUser, MD5_SECRET } from './known-users.js';
import type { SluiceConfig } from './load.js';
import type { DatabaseValues } from './schema.js';

/** PostgreSQL's default (`scram_iterations`), and what RFC 7677 asks for at least. */
const SCRAM_ITERATIONS = 4096;
const SALT_BYTES = 16;
const KEY_BYTES = 32;
/** PBKDF2 runs on libuv's threads, of which there are 4 by default. */
const PARALLEL_DERIVATIONS = 4;

const deriveKey = promisify(pbkdf2);

/**
 * The core's view of a configuration. Derives a SCRAM verifier from each clear-text password where clients log in by
 * SCRAM; one that `previous` holds for the same password is taken over, so a reload derives only what is new.
 */
export async function toGatewaySettings(
  config: SluiceConfig,
  previous?: GatewaySettings,
): Promise<GatewaySettings> {
  const { values } = config;
  const users = await makeUsers(config, previous);
  const databases = new Map(
    Object.entries(values.databases).map(([name, database]) => [name, makeDatabase(name, database, users)]),
  );
  return Object.freeze<GatewaySettings>({
    ...NO_EXTRA_SETTINGS,
    databases,
    users,
    authType: values.auth_type,
    poolMode: values.pool_mode,
    defaultPoolSize: values.default_pool_size,
    maxClientConn: values.max_client_conn,
    maxPreparedStatements: values.max_prepared_statements,
    serverResetQuery: values.server_reset_query,
    maxPacketSize: values.max_packet_size,
    ignoreStartupParameters: new Set(values.ignore_startup_parameters),
    queryWaitTimeoutMs: values.query_wait_timeout,
    clientLoginTimeoutMs: values.client_login_timeout,
    serverIdleTimeoutMs: values.server_idle_timeout,
    serverLifetimeMs: values.server_lifetime,
    serverConnectTimeoutMs: values.server_connect_timeout,
    serverLoginRetryMs: values.server_login_retry,
    cancelWaitTimeoutMs: values.cancel_wait_timeout,
    logConnections: values.log_connections,
    logDisconnections: values.log_disconnections,
    logPoolerErrors: values.log_pooler_errors,
  });
}

async function makeUsers(
  config: SluiceConfig,
  previous?: GatewaySettings,
): Promise<Map<string, UserSettings>> {
  const users = new Map<string, UserSettings>();
  const remaining = config.users.entries();
  const work = async (): Promise<void> => {
    for (const [name, known] of remaining) {
      const old = previous?.users.get(name)?.secret;
      users.set(
        name,
        Object.freeze({ name, secret: await makeSecret(known, config.values.auth_type, old), limits: null }),
      );
    }
  };
  await Promise.all(Array.from({ length: PARALLEL_DERIVATIONS }, work));
  return users;
}

async function makeSecret(known: KnownUser, authType: string, old?: UserSecret): Promise<UserSecret> {
  const { password, verifier } = known;
  const md5 = verifier !== null && MD5_SECRET.test(verifier) ? verifier : null;
  let scram = verifier === null || md5 !== null ? null : parseScramVerifier(verifier);
  if (scram === null && password !== null && authType === 'scram-sha-256') {
    scram = old?.password === password && old.scram !== null ? old.scram : await deriveVerifier(password);
  }
  return Object.freeze({ password, md5, scram });
}

async function deriveVerifier(password: string) {
  const salt = randomBytes(SALT_BYTES);
  const salted = await deriveKey(saslPrep(password), salt, SCRAM_ITERATIONS, KEY_BYTES, 'sha256');
  return makeScramVerifier(salted, salt, SCRAM_ITERATIONS);
}

function makeDatabase(
  name: string,
  database: DatabaseValues,
  users: ReadonlyMap<string, UserSettings>,
): DatabaseSettings {
  return Object.freeze<DatabaseSettings>({
    ...NO_DATABASE_SETTINGS,
    name,
    addresses: Object.freeze([serverAddress(database)]),
    serverDatabase: database.dbname ?? null,
    forcedUser: forcedUser(database, users),
    poolMode: database.pool_mode ?? null,
    poolSize: database.pool_size ?? null,
  });
}

function forcedUser(database: DatabaseValues, users: ReadonlyMap<string, UserSettings>): UserSettings | null {
  const { user: name, password } = database;
  if (name === undefined) return null;
  const known = users.get(name);
  if (!password && known) return known;
  return Object.freeze({
    name,
    secret: Object.freeze({ password: password || null, md5: null, scram: null }),
    limits: null,
  });
}

/** A host that begins with `/` is the folder of a unix socket, as in libpq. */
export function serverAddress({
  host,
  port,
}: {
  readonly host: string;
  readonly port: number;
}): ServerAddress {
  if (!host.startsWith('/')) return Object.freeze({ host, port });
  return Object.freeze({ socketPath: path.posix.join(host, `.s.PGSQL.${port}`) });
}
