/** Makes the core's settings out of a checked configuration. */
import { pbkdf2, randomBytes } from 'node:crypto';
import path from 'node:path';
import { promisify } from 'node:util';
import type { ServerAddress } from '../core/io.js';
import type {
  DatabaseSettings,
  GatewaySettings,
  LocalSocketChoice,
  NodeSettings,
  PeerSettings,
  UserLimits,
  UserSecret,
  UserSettings,
} from '../core/settings.js';
import { makeScramVerifier, parseScramVerifier, saslPrep } from '../wire/scram.js';
import { coreAuthType, ldapServer } from './authentication.js';
import { type KnownUser, MD5_SECRET } from './known-users.js';
import type { SluiceConfig } from './load.js';
import { nodesFromName } from './schema/nodes-from.js';
import { POOL_SIZE_MAX } from './schema/pooling.js';
import type { NodeValues } from './schema/routing.js';
import type { ConfigValues, DatabaseValues, UserValues } from './schema.js';
import { tlsSettings } from './tls.js';

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
    databases,
    users,
    ...authenticationSettings(config),
    ...poolSettings(values),
    ...connectionSettings(values),
    ...routing(values),
    ...timeSettings(config),
    maxPacketSize: values.max_packet_size,
    ignoreStartupParameters: new Set(values.ignore_startup_parameters),
    loginNotifyMessage: values.login_notify_message,
    applicationNameAddHost: values.application_name_add_host,
    ownUid: process.getuid?.() ?? null,
    adminUsers: new Set(values.admin_users),
    statsUsers: new Set(values.stats_users),
    tls: tlsSettings(values, config.tls),
    peerId: values.peer_id,
    peers: new Map(
      Object.entries(values.peers).map(([id, peer]) => [Number(id), makePeer(Number(id), peer)]),
    ),
    logConnections: values.log_connections,
    logDisconnections: values.log_disconnections,
    logPoolerErrors: values.log_pooler_errors,
  });
}

function authenticationSettings({ dialect, values, hba }: SluiceConfig) {
  return {
    authType: coreAuthType(values),
    hba,
    ldap: ldapServer(values),
    authUser: values.auth_user,
    authQuery: values.auth_query,
    authDbname: values.auth_dbname,
    admitsStrangers: dialect === 'sluice',
    tellsOfUnknownUsers: values.auth_query_tells_unknown,
    scramIterations: values.scram_iterations,
    failedLoginRate: values.failed_login_rate,
  };
}

function poolSettings(values: ConfigValues) {
  return {
    poolMode: values.pool_mode,
    sessionState: values.session_state,
    onPin: values.on_pin,
    defaultPoolSize: poolSize(values.default_pool_size),
    minPoolSize: values.min_pool_size,
    reservePoolSize: values.reserve_pool_size,
    reservePoolTimeoutMs: values.reserve_pool_timeout,
    maxDbConnections: values.max_db_connections,
    maxUserConnections: values.max_user_connections,
    maxDbClientConnections: values.max_db_client_connections,
    maxUserClientConnections: values.max_user_client_connections,
    maxClientConn: values.max_client_conn,
    maxPreparedStatements: values.max_prepared_statements,
  };
}

function connectionSettings(values: ConfigValues) {
  return {
    serverResetQuery: values.server_reset_query,
    serverResetQueryAlways: values.server_reset_query_always,
    serverCheckQuery: checkQuery(values.server_check_query),
    serverCheckDelayMs: values.server_check_delay,
    serverRoundRobin: values.server_round_robin,
    serverFastClose: values.server_fast_close,
    localSocket: values.server_unix_socket as LocalSocketChoice,
  };
}

function routing(values: ConfigValues) {
  return {
    consistency: values.consistency,
    standbyWaitMs: values.standby_wait,
    readPipelineLength: values.read_pipeline_length,
    balanceLeadingReads: values.balance_leading_reads,
    deferBegin: values.defer_begin,
    boundedStalenessMs: values.bounded_staleness,
    standbyLagBytes: values.standby_lag_bytes,
    standbyLagMs: values.standby_lag,
    standbySlowStartMs: values.standby_slow_start,
    zone: values.zone,
  };
}

function timeSettings({ values, dialect }: SluiceConfig) {
  const usedOnce = dialect === 'pgbouncer' && values.server_lifetime === 0;
  return {
    queryWaitTimeoutMs: values.query_wait_timeout,
    queryWaitNotifyMs: values.query_wait_notify,
    queryWaitFailFast: values.query_wait_fail_fast,
    failoverTimeoutMs: values.failover_timeout,
    queryTimeoutMs: values.query_timeout,
    transactionTimeoutMs: values.transaction_timeout,
    idleTransactionTimeoutMs: values.idle_transaction_timeout,
    clientIdleTimeoutMs: values.client_idle_timeout,
    autodbIdleTimeoutMs: values.autodb_idle_timeout,
    suspendTimeoutMs: values.suspend_timeout,
    clientLoginTimeoutMs: values.client_login_timeout,
    serverIdleTimeoutMs: values.server_idle_timeout,
    serverLifetimeMs: usedOnce ? 1 : values.server_lifetime,
    serverConnectTimeoutMs: values.server_connect_timeout,
    serverLoginRetryMs: values.server_login_retry,
    dnsMaxTtlMs: values.dns_max_ttl,
    dnsNxdomainTtlMs: values.dns_nxdomain_ttl,
    cancelWaitTimeoutMs: values.cancel_wait_timeout,
  };
}

/** `<empty>` is an empty query; no text at all means none. */
function checkQuery(text: string): string | null {
  if (text === '') return null;
  return text === '<empty>' ? '' : text;
}

/** 0 means no limit. */
function poolSize(size: number): number {
  return size === 0 ? POOL_SIZE_MAX : size;
}

function makePeer(id: number, { host, port, pool_size }: ConfigValues['peers'][string]): PeerSettings {
  return Object.freeze({ id, address: serverAddress(host, port), poolSize: pool_size ?? null });
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
      const secret = await makeSecret(known, config, old);
      const limits = makeLimits(config.values.users[name]);
      users.set(name, Object.freeze({ name, secret, limits, isListed: known.isListed }));
    }
  };
  await Promise.all(Array.from({ length: PARALLEL_DERIVATIONS }, work));
  return users;
}

/** Null for a user with no limits of its own. */
function makeLimits(user: UserValues | undefined): UserLimits | null {
  if (user === undefined) return null;
  const limits: UserLimits = {
    poolMode: user.pool_mode ?? null,
    sessionState: user.session_state ?? null,
    onPin: user.on_pin ?? null,
    consistency: user.consistency ?? null,
    poolSize: user.pool_size === undefined ? null : poolSize(user.pool_size),
    reservePoolSize: user.reserve_pool_size ?? null,
    maxUserConnections: user.max_user_connections ?? null,
    maxUserClientConnections: user.max_user_client_connections ?? null,
    queryTimeoutMs: user.query_timeout ?? null,
    queryWaitTimeoutMs: user.query_wait_timeout ?? null,
    idleTransactionTimeoutMs: user.idle_transaction_timeout ?? null,
    transactionTimeoutMs: user.transaction_timeout ?? null,
    clientIdleTimeoutMs: user.client_idle_timeout ?? null,
  };
  return Object.values(limits).every((limit) => limit === null) ? null : Object.freeze(limits);
}

async function makeSecret(known: KnownUser, config: SluiceConfig, old?: UserSecret): Promise<UserSecret> {
  const { password, verifier } = known;
  const { values } = config;
  const md5 = verifier !== null && MD5_SECRET.test(verifier) ? verifier : null;
  let scram = verifier === null || md5 !== null ? null : parseScramVerifier(verifier);
  if (scram === null && password !== null && usesScram(config)) {
    const iterations = values.scram_iterations;
    const isKnown = old?.password === password && old.scram?.iterations === iterations;
    scram = isKnown ? old.scram : await deriveVerifier(password, iterations);
  }
  return Object.freeze({ password, md5, scram });
}

/** Whether a client may be asked by SCRAM: only then are verifiers made of passwords. */
function usesScram({ values, hba }: SluiceConfig): boolean {
  return values.auth_type === 'scram-sha-256' || hba.some(({ method }) => method === 'scram-sha-256');
}

export async function deriveVerifier(password: string, iterations: number) {
  const salt = randomBytes(SALT_BYTES);
  const salted = await deriveKey(saslPrep(password), salt, iterations, KEY_BYTES, 'sha256');
  return makeScramVerifier(salted, salt, iterations);
}

function makeDatabase(
  name: string,
  database: DatabaseValues,
  users: ReadonlyMap<string, UserSettings>,
): DatabaseSettings {
  const source = database.nodes_from;
  // Those of a cluster come from its store.
  const areFound = database.cluster !== undefined || source !== undefined;
  const nodes = database.nodes?.map(makeNode) ?? (areFound ? [] : null);
  return Object.freeze<DatabaseSettings>({
    name,
    addresses: nodes?.map(({ address }) => address) ?? serverAddresses(database),
    nodes,
    cluster: database.cluster ?? null,
    nodesFrom: source === undefined ? null : nodesFromName(source),
    target: database.target_session_attrs ?? 'primary',
    consistency: database.consistency ?? null,
    loadBalanceHosts: database.load_balance_hosts ?? 'round-robin',
    localSocket: (database.server_unix_socket ?? null) as LocalSocketChoice | null,
    serverDatabase: database.dbname ?? null,
    forcedUser: forcedUser(database, users),
    poolMode: database.pool_mode ?? null,
    sessionState: database.session_state ?? null,
    onPin: database.on_pin ?? null,
    poolSize: database.pool_size === undefined ? null : poolSize(database.pool_size),
    minPoolSize: database.min_pool_size ?? null,
    reservePoolSize: database.reserve_pool_size ?? null,
    maxDbConnections: database.max_db_connections ?? null,
    maxDbClientConnections: database.max_db_client_connections ?? null,
    serverLifetimeMs: database.server_lifetime ?? null,
    queryWaitTimeoutMs: database.query_wait_timeout ?? null,
    queryWaitFailFast: database.query_wait_fail_fast ?? null,
    connectQuery: database.connect_query || null,
    startupParameters: startupParameters(database),
    authUser: database.auth_user ?? null,
    authQuery: database.auth_query ?? null,
    authDbname: database.auth_dbname ?? null,
  });
}

function makeNode({ host, port, name, weight, zone }: NodeValues): NodeSettings {
  const place = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  return Object.freeze({ name: name ?? place, address: serverAddress(host, port), weight, zone });
}

function startupParameters(database: DatabaseValues): ReadonlyMap<string, string> {
  const parameters = new Map<string, string>();
  for (const name of ['client_encoding', 'datestyle', 'timezone', 'application_name'] as const) {
    const value = database[name];
    if (value !== undefined) parameters.set(name, value);
  }
  return parameters;
}

function forcedUser(database: DatabaseValues, users: ReadonlyMap<string, UserSettings>): UserSettings | null {
  const { user: name, password } = database;
  if (name === undefined) return null;
  const known = users.get(name);
  if (!password && known) return known;
  return Object.freeze({
    name,
    secret: Object.freeze({ password: password || null, md5: null, scram: null }),
    limits: known?.limits ?? null,
    isListed: true,
  });
}

/** The servers of a host list, in its order. One port serves all hosts; a list of ports has one for each. */
export function serverAddresses({
  host,
  port,
}: Pick<DatabaseValues, 'host' | 'port'>): readonly ServerAddress[] {
  const hosts = host.split(',').map((part) => part.trim());
  const ports = typeof port === 'number' ? hosts.map(() => port) : port;
  return Object.freeze(hosts.map((name, index) => serverAddress(name, ports[index] ?? ports[0]!)));
}

/** A host that begins with `/` is the folder of a unix socket, as in libpq. */
export function serverAddress(host: string, port: number): ServerAddress {
  if (!host.startsWith('/')) return Object.freeze({ host, port });
  return Object.freeze({ socketPath: path.posix.join(host, `.s.PGSQL.${port}`) });
}
