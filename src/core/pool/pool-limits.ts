/**
 * What the settings say of one pool. As in PgBouncer the user's word comes before the database's, and the database's before
 * the gateway's; for limits and times 0 means that the next one has the word.
 */
import type { ServerAddress } from '../io.js';
import type {
  Consistency,
  DatabaseSettings,
  GatewaySettings,
  HostBalancing,
  LocalSocketChoice,
  OnPin,
  PoolMode,
  SessionStateMode,
  UserLimits,
  UserSettings,
} from '../settings.js';

/** What holds for one pool; a reload may change it. Times in ms; 0 in times and `max...`: no limit. */
export interface PoolLimits {
  readonly addresses: readonly ServerAddress[];
  readonly loadBalanceHosts: HostBalancing;
  readonly localSocket: LocalSocketChoice;
  readonly serverDatabase: string;
  readonly mode: PoolMode;
  readonly sessionState: SessionStateMode;
  readonly onPin: OnPin;
  readonly consistency: Consistency;
  readonly size: number;
  /** No more than `size`. */
  readonly minSize: number;
  /** It is kept at `minSize` also while it has no client. */
  readonly isAlwaysWarm: boolean;
  /** Its clients may be other users than the one that logs in to the server. */
  readonly hasForcedUser: boolean;
  readonly reserveSize: number;
  readonly maxDbConnections: number;
  readonly maxUserConnections: number;
  readonly serverLifetimeMs: number;
  readonly connectQuery: string | null;
  /** Server connections are opened with them (of the database's entry). */
  readonly startupParameters: ReadonlyMap<string, string>;
  /** One of several nodes is to be reached, the primary: a standby is none. */
  readonly wantsPrimary: boolean;
  readonly waitFailFast: boolean;
  readonly waitTimeoutMs: number;
  readonly queryTimeoutMs: number;
  readonly transactionTimeoutMs: number;
  readonly idleTransactionTimeoutMs: number;
}

/** The limits of the pool of a database and a user. @param name the database as clients name it */
export function poolLimits(
  settings: GatewaySettings,
  database: DatabaseSettings,
  { name, user }: { readonly name: string; readonly user: UserSettings },
): PoolLimits {
  const own = limitsOf(settings, user.name) ?? user.limits;
  const size = own?.poolSize ?? database.poolSize ?? settings.defaultPoolSize;
  const minSize = Math.min(size, database.minPoolSize ?? settings.minPoolSize);
  return {
    addresses: database.addresses,
    loadBalanceHosts: database.loadBalanceHosts,
    localSocket: database.localSocket ?? settings.localSocket,
    serverDatabase: database.serverDatabase ?? name,
    mode: own?.poolMode ?? database.poolMode ?? settings.poolMode,
    onPin: own?.onPin ?? database.onPin ?? settings.onPin,
    consistency: own?.consistency ?? database.consistency ?? settings.consistency,
    sessionState: own?.sessionState ?? database.sessionState ?? settings.sessionState,
    size,
    minSize,
    hasForcedUser: database.forcedUser !== null,
    isAlwaysWarm: minSize > 0 && database.forcedUser !== null,
    reserveSize: own?.reservePoolSize ?? database.reservePoolSize ?? settings.reservePoolSize,
    maxDbConnections: database.maxDbConnections || settings.maxDbConnections,
    maxUserConnections: own?.maxUserConnections || settings.maxUserConnections,
    serverLifetimeMs: database.serverLifetimeMs || settings.serverLifetimeMs,
    connectQuery: database.connectQuery,
    startupParameters: database.startupParameters,
    wantsPrimary: database.nodes !== null && database.target === 'primary',
    waitFailFast: database.queryWaitFailFast ?? settings.queryWaitFailFast,
    waitTimeoutMs: own?.queryWaitTimeoutMs || database.queryWaitTimeoutMs || settings.queryWaitTimeoutMs,
    queryTimeoutMs: own?.queryTimeoutMs || settings.queryTimeoutMs,
    transactionTimeoutMs: own?.transactionTimeoutMs || settings.transactionTimeoutMs,
    idleTransactionTimeoutMs: own?.idleTransactionTimeoutMs || settings.idleTransactionTimeoutMs,
  };
}

/** The same limits for server connections that lead to the nodes which a database's clients are to reach, if it has nodes. */
export function towardsTarget(limits: PoolLimits, { targetAddresses }: TargetPlace): PoolLimits {
  return targetAddresses === null ? limits : { ...limits, addresses: targetAddresses };
}

/** A database, as this sees it. */
interface TargetPlace {
  readonly targetAddresses: readonly ServerAddress[] | null;
}

/** The same limits for server connections to a standby, which nobody needs to have. */
export function towardsStandby(limits: PoolLimits, address: ServerAddress): PoolLimits {
  return { ...limits, addresses: [address], minSize: 0, ...NEEDS_NO_NODE };
}

const NEEDS_NO_NODE = { isAlwaysWarm: false, wantsPrimary: false, waitFailFast: false } as const;

/** What is set for the user of this name, also one whose password is known elsewhere; null: nothing. */
export function limitsOf(settings: GatewaySettings, user: string): UserLimits | null {
  return settings.users.get(user)?.limits ?? null;
}

/** Whether server connections opened under the one don't serve under the other. */
export function leadElsewhere(before: PoolLimits, after: PoolLimits): boolean {
  return (
    JSON.stringify(before.addresses) !== JSON.stringify(after.addresses) ||
    before.localSocket !== after.localSocket ||
    before.serverDatabase !== after.serverDatabase ||
    before.connectQuery !== after.connectQuery ||
    before.sessionState !== after.sessionState ||
    JSON.stringify([...before.startupParameters]) !== JSON.stringify([...after.startupParameters])
  );
}
