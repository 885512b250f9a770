/** Limits and timeouts that a part of the seeds switches on, and what they may do to clients and servers. */
import { SEVERAL_SERVERS } from '../src/core/listening/listening-messages.js';
import type { GatewaySettings } from '../src/core/settings.js';
import type { Profile } from './plan.js';
import type { Random } from './random.js';

/** So many of the seeds. */
const SHARE = 0.4;

/** A client_login_timeout that no queue of clients outlasts, in ms. */
const PATIENT_LOGIN_MS = 60_000;

/** The same settings with limits, or without, as the generator decides. */
export function withLimits<T extends Omit<GatewaySettings, 'tls'>>(
  settings: T,
  profile: Profile,
  random: Random,
): T {
  if (!random.chance(SHARE)) return settings;
  // What is kept warm while servers die, move, or live for a tenth of a second, is never at rest.
  const isCalm = profile !== 'failing' && settings.serverLifetimeMs !== 100;
  const timeout = (): number => (random.chance(0.2) ? random.int(30, 500) : 0);
  return {
    ...settings,
    minPoolSize: isCalm ? random.int(0, 2) : 0,
    dnsMaxTtlMs: isCalm ? 3_600_000 : settings.dnsMaxTtlMs,
    reservePoolSize: random.int(0, 2),
    reservePoolTimeoutMs: random.pick([20, 200]),
    maxDbConnections: random.pick([0, 1, 2, 3]),
    maxUserConnections: random.pick([0, 1, 2, 3]),
    maxDbClientConnections: random.chance(0.2) ? random.int(1, 5) : 0,
    maxUserClientConnections: random.chance(0.2) ? random.int(1, 5) : 0,
    serverCheckQuery: random.chance(0.5) ? '' : null,
    serverCheckDelayMs: random.pick([0, 10, 30_000]),
    serverResetQueryAlways: random.chance(0.2),
    serverRoundRobin: random.chance(0.3),
    serverFastClose: random.chance(0.3),
    queryTimeoutMs: timeout(),
    transactionTimeoutMs: timeout(),
    idleTransactionTimeoutMs: timeout(),
    clientIdleTimeoutMs: timeout(),
    queryWaitNotifyMs: random.pick([0, 20]),
    queryWaitFailFast: random.chance(0.1),
  };
}

const OUR_NOTICES = [
  'notifications may have been lost',
  'No server connection available',
  'this session keeps its server connection: ',
];
const PIN_REFUSED = 'a session may not keep its server connection (on_pin = refuse): ';

/** True for a notice of ours that belongs to no answer. */
export function isOurNotice(message: string | undefined): boolean {
  return OUR_NOTICES.some((words) => message?.startsWith(words) === true);
}

/** Whether the settings allow a client to be ended with these last words; null: without any. */
export function isEndedByLimit(settings: GatewaySettings, message: string | null): boolean {
  const { queryTimeoutMs, transactionTimeoutMs, idleTransactionTimeoutMs, clientIdleTimeoutMs } = settings;
  const isCapped = settings.maxDbConnections + settings.maxUserConnections > 0;
  // In the middle of an answer nothing can be said.
  if (message === null) return queryTimeoutMs + transactionTimeoutMs > 0;
  if (message.startsWith(PIN_REFUSED)) return settings.onPin === 'refuse';
  const allowed: Readonly<Record<string, boolean>> = {
    'query timeout': queryTimeoutMs > 0,
    query_timeout: queryTimeoutMs > 0,
    'transaction timeout': transactionTimeoutMs > 0,
    'idle transaction timeout': idleTransactionTimeoutMs > 0,
    client_idle_timeout: clientIdleTimeoutMs > 0,
    // A login that tries parameters takes its turn among the queries, and links that are pinned hold everybody up.
    // So does one that comes by TCP first, where a round trip takes seconds.
    'client_login_timeout (server down)':
      isCapped || settings.clientLoginTimeoutMs < PATIENT_LOGIN_MS || settings.localSocket !== 'off',
    // Ten seconds are not much where the network stalls for three at a time.
    'client has ended, and its last answers do not come': true,
    // The answers of DNS change now and again.
    [SEVERAL_SERVERS.message]: settings.sessionState !== 'classic',
    'no server connection is free (query_wait_fail_fast)': settings.queryWaitFailFast,
    'database configuration changed': settings.serverFastClose,
    'client connections exceeded (max_db_client_connections)': settings.maxDbClientConnections > 0,
    'client connections exceeded (max_user_client_connections)': settings.maxUserClientConnections > 0,
  };
  return allowed[message] === true;
}

/** A server connection, as limits count it. */
export interface CountedSession {
  readonly database: string;
  readonly user: string;
  /** Of no pool. */
  readonly isShared: boolean;
}

/** Which limit these open server connections break; null: none. The newest is the last one. */
export function brokenLimit(
  settings: GatewaySettings,
  open: readonly CountedSession[],
  poolSize: number,
): string | null {
  const newest = open.at(-1)!;
  const ofDatabase = open.filter(({ database }) => database === newest.database);
  const ofUser = open.filter(({ user }) => user === newest.user);
  const ofPool = ofDatabase.filter(({ user, isShared }) => user === newest.user && !isShared);
  const shared = ofDatabase.filter(({ isShared }) => isShared);
  const { maxDbConnections, maxUserConnections, reservePoolSize } = settings;
  const counts = [
    ['pool_size', ofPool.length, poolSize + reservePoolSize],
    ['max_db_connections', ofDatabase.length, maxDbConnections || Number.POSITIVE_INFINITY],
    ['one listening connection', shared.length, 1],
    ['max_user_connections', ofUser.length, maxUserConnections || Number.POSITIVE_INFINITY],
  ] as const;
  const broken = counts.find(([, count, limit]) => count > limit);
  if (broken === undefined) return null;
  const [name, count, limit] = broken;
  return `${count} server connections for ${newest.database}/${newest.user}, ${name} being ${limit}`;
}
