/**
 * What the core needs to know of the configuration: frozen values, validated before they get here
 * (src/config makes them from files and flags). Names follow PgBouncer's settings; times are in ms.
 */
import type { ScramVerifier } from '../wire/scram.js';
import type { LdapServer } from './authority.js';
import type { HbaRule } from './hba.js';
import type { ServerAddress } from './io.js';

/** When a server connection goes back to its pool (PgBouncer's `pool_mode`). */
export type PoolMode = 'session' | 'transaction' | 'statement';

/**
 * What becomes of a session where server connections are shared: `transparent` makes it follow its client, `classic` leaves
 * it on the server connection, as PgBouncer does.
 */
export type SessionStateMode = 'transparent' | 'strict' | 'classic';

/** What a client meets whose session keeps a server connection: nothing, a notice, or its end. */
export type OnPin = 'allow' | 'notice' | 'refuse';

/** How clients prove who they are (PgBouncer's `auth_type`). `plain` asks for a clear-text password. */
export type AuthType = 'trust' | 'any' | 'plain' | 'md5' | 'scram-sha-256' | 'cert' | 'peer' | 'ldap' | 'hba';

/** What is known of a user's password. Any part may be missing. */
export interface UserSecret {
  /** Clear text: serves every method, towards clients and servers. */
  readonly password: string | null;
  /** PostgreSQL's `md5` + 32 hex digits. */
  readonly md5: string | null;
  /** A parsed `SCRAM-SHA-256$...` verifier (derived from the password where that is known). */
  readonly scram: ScramVerifier | null;
}

/** What may be set for one user; null: what the database or the whole gateway says (PgBouncer's `[users]`). */
export interface UserLimits {
  readonly poolMode: PoolMode | null;
  readonly sessionState: SessionStateMode | null;
  readonly onPin: OnPin | null;
  readonly consistency: Consistency | null;
  readonly poolSize: number | null;
  readonly reservePoolSize: number | null;
  readonly maxUserConnections: number | null;
  readonly maxUserClientConnections: number | null;
  readonly queryTimeoutMs: number | null;
  readonly queryWaitTimeoutMs: number | null;
  readonly idleTransactionTimeoutMs: number | null;
  readonly transactionTimeoutMs: number | null;
  readonly clientIdleTimeoutMs: number | null;
}

/** Whether TLS is spoken (PgBouncer's `client_tls_sslmode` and `server_tls_sslmode`). */
export type TlsMode = 'disable' | 'allow' | 'prefer' | 'require' | 'verify-ca' | 'verify-full';

/** What the core decides about TLS; certificates, keys and ciphers are the driver's. */
export interface TlsSettings {
  readonly clientMode: TlsMode;
  readonly serverMode: TlsMode;
  /** Differs after a reload that changed anything about TLS towards servers: connections made before are replaced. */
  readonly serverRevision: string;
}

export interface UserSettings {
  readonly name: string;
  readonly secret: UserSecret;
  /** Null: none of its own. */
  readonly limits: UserLimits | null;
  /** The configuration says what the secret is, or that there is none: `auth_query` isn't asked for it. */
  readonly isListed: boolean;
}

/** Which of a database's hosts a new server connection goes to (PgBouncer's `load_balance_hosts`). */
export type HostBalancing = 'round-robin' | 'disable';

/**
 * Whether a server on this machine is reached by its unix socket, where that is proved to be its: one in the usual folders
 * (`auto`), or in this folder.
 */
export type LocalSocketChoice = 'auto' | 'off' | `/${string}`;

/** How much of what is committed a read on a standby must see; `primary`: reads go to the primary. */
export type Consistency = 'strong' | 'session' | 'bounded' | 'eventual' | 'primary';

/** The primary, with reads on standbys as `consistency` allows; standbys alone; or these where there are any. */
export type TargetNodes = 'primary' | 'standby' | 'prefer-standby';

/** One of the servers of a database with standbys. */
export interface NodeSettings {
  readonly name: string;
  readonly address: ServerAddress;
  /** Its share of the reads; 0: none. */
  readonly weight: number;
  /** Empty: none. */
  readonly zone: string;
}

export interface DatabaseSettings {
  /** The name that clients ask for; `*` is the fallback for any name. */
  readonly name: string;
  /** One or more servers that hold the same database. */
  readonly addresses: readonly ServerAddress[];
  readonly loadBalanceHosts: HostBalancing;
  /** Null: statements are not routed. Otherwise `addresses` are theirs. */
  readonly nodes: readonly NodeSettings[] | null;
  /** The cluster whose store names the primary, and its nodes where `nodes` is empty; null: the nodes tell by themselves. */
  readonly cluster: string | null;
  /** The name of the source that says which nodes there are, until then `nodes` does; null: there is none. */
  readonly nodesFrom: string | null;
  /** Which of the nodes its clients reach (libpq's parameter of that name). */
  readonly target: TargetNodes;
  /** null: {@link GatewaySettings.consistency}. */
  readonly consistency: Consistency | null;
  /** null: {@link GatewaySettings.localSocket}. */
  readonly localSocket: LocalSocketChoice | null;
  /** The database's name on the server; null: the name that the client asked for. */
  readonly serverDatabase: string | null;
  /** Log in to the server as this user whoever the client is; null: the client's user. */
  readonly forcedUser: UserSettings | null;
  /** null: {@link GatewaySettings.poolMode}. */
  readonly poolMode: PoolMode | null;
  readonly sessionState: SessionStateMode | null;
  readonly onPin: OnPin | null;
  /** null, here and below: what {@link GatewaySettings} says. */
  readonly poolSize: number | null;
  readonly minPoolSize: number | null;
  readonly reservePoolSize: number | null;
  readonly maxDbConnections: number | null;
  readonly maxDbClientConnections: number | null;
  readonly serverLifetimeMs: number | null;
  readonly queryWaitTimeoutMs: number | null;
  readonly queryWaitFailFast: boolean | null;
  /** Run on every new server connection before it serves (PgBouncer's `connect_query`). */
  readonly connectQuery: string | null;
  /** Startup parameters of its server connections: `client_encoding`, `datestyle`, `timezone`. */
  readonly startupParameters: ReadonlyMap<string, string>;
  readonly authUser: string | null;
  readonly authQuery: string | null;
  readonly authDbname: string | null;
}

/** Another gateway process, to which cancel requests with its number are passed on (PgBouncer's `[peers]`). */
export interface PeerSettings {
  readonly id: number;
  readonly address: ServerAddress;
  readonly poolSize: number | null;
}

export interface GatewaySettings {
  readonly databases: ReadonlyMap<string, DatabaseSettings>;
  readonly users: ReadonlyMap<string, UserSettings>;
  readonly authType: AuthType;
  /** The rules of `auth_hba_file`, for `hba`. */
  readonly hba: readonly HbaRule[];
  /** `auth_ldap_options`, for `ldap`; null: none, or none that can be used. */
  readonly ldap: LdapServer | null;
  /** Empty: nobody is looked up. A database may have its own, as of the two that follow. */
  readonly authUser: string;
  readonly authQuery: string;
  /** Empty: the database that the client asks for. */
  readonly authDbname: string;
  /** `trust` lets in names that nobody knows, too. */
  readonly admitsStrangers: boolean;
  /** A client whose name `auth_query` doesn't know is told so at once, as PgBouncer does. */
  readonly tellsOfUnknownUsers: boolean;
  /** Of verifiers that are made here, and of the mock exchange of unknown users. */
  readonly scramIterations: number;
  /** Failed logins a second from one address, above which they are refused unchecked; 0: any number. */
  readonly failedLoginRate: number;
  readonly poolMode: PoolMode;
  readonly sessionState: SessionStateMode;
  readonly onPin: OnPin;
  readonly consistency: Consistency;
  /** How long a read waits for a standby that may serve it. */
  readonly standbyWaitMs: number;
  /** So many reads that are released at one moment may share a server connection; 1: none do. */
  readonly readPipelineLength: number;
  /** Reads in front of a READ WRITE transaction's first write may run on a standby. */
  readonly balanceLeadingReads: boolean;
  /** BEGIN reaches the primary with the first statement behind it. */
  readonly deferBegin: boolean;
  readonly boundedStalenessMs: number;
  /** A standby that is further behind gets no reads; 0, here and in the next: no limit. */
  readonly standbyLagBytes: number;
  readonly standbyLagMs: number;
  /** After how long a standby that has come back gets its full share. */
  readonly standbySlowStartMs: number;
  /** Where this gateway is; empty: nowhere in particular. */
  readonly zone: string;
  readonly defaultPoolSize: number;
  readonly minPoolSize: number;
  readonly reservePoolSize: number;
  /** How long a client waits before its pool may use the reserve. */
  readonly reservePoolTimeoutMs: number;
  /** 0, here and in the following four: no limit. */
  readonly maxDbConnections: number;
  readonly maxUserConnections: number;
  readonly maxDbClientConnections: number;
  readonly maxUserClientConnections: number;
  readonly maxClientConn: number;
  /** 0 switches the tracking of named prepared statements off. */
  readonly maxPreparedStatements: number;
  readonly serverResetQuery: string;
  /** Run the reset query in transaction and statement mode too. */
  readonly serverResetQueryAlways: boolean;
  /** Tested with this before use when it has rested longer than `serverCheckDelayMs`; null: never. */
  readonly serverCheckQuery: string | null;
  readonly serverCheckDelayMs: number;
  /** Of the free server connections the one that has rested longest is used next, not the one used last. */
  readonly serverRoundRobin: boolean;
  /** A reload or RECONNECT closes session-mode server connections without waiting for their clients. */
  readonly serverFastClose: boolean;
  readonly localSocket: LocalSocketChoice;
  /** A message longer than this closes its connection (PgBouncer's `max_packet_size`). */
  readonly maxPacketSize: number;
  /** Startup parameters that are accepted and not passed on (PgBouncer's `ignore_startup_parameters`). */
  readonly ignoreStartupParameters: ReadonlySet<string>;
  /** 0 in any of the following: no limit. */
  readonly queryWaitTimeoutMs: number;
  /** A client that would have to wait is refused instead. */
  readonly queryWaitFailFast: boolean;
  /** How long a client waits for a primary while there is none. */
  readonly failoverTimeoutMs: number;
  /** After this time a waiting client is told by a notice why it waits. */
  readonly queryWaitNotifyMs: number;
  readonly queryTimeoutMs: number;
  readonly transactionTimeoutMs: number;
  readonly idleTransactionTimeoutMs: number;
  readonly clientIdleTimeoutMs: number;
  /** How long an auto-database (made from `*`) may stay unused. */
  readonly autodbIdleTimeoutMs: number;
  readonly suspendTimeoutMs: number;
  readonly clientLoginTimeoutMs: number;
  readonly serverIdleTimeoutMs: number;
  readonly serverLifetimeMs: number;
  readonly serverConnectTimeoutMs: number;
  /** How long no new connection is tried after a failed one. */
  readonly serverLoginRetryMs: number;
  /** How long a host name's addresses, and that it has none, count as known. */
  readonly dnsMaxTtlMs: number;
  readonly dnsNxdomainTtlMs: number;
  readonly cancelWaitTimeoutMs: number;
  /** A notice to every client that has logged in; empty: none. */
  readonly loginNotifyMessage: string;
  /** Add the client's address and port to the application_name that the server sees. */
  readonly applicationNameAddHost: boolean;
  /** Users who may do everything on the console, and users who may look. */
  readonly adminUsers: ReadonlySet<string>;
  readonly statsUsers: ReadonlySet<string>;
  /** The user id that the gateway's process runs as; null: unknown here. */
  readonly ownUid: number | null;
  /** Names this process in cancel keys (PgBouncer's `peer_id`); 0: none. */
  readonly peerId: number;
  readonly peers: ReadonlyMap<number, PeerSettings>;
  readonly tls: TlsSettings;
  /** Report every client that comes and goes. */
  readonly logConnections: boolean;
  readonly logDisconnections: boolean;
  readonly logPoolerErrors: boolean;
}

/** A database's settings that leave everything to the gateway's. */
export const NO_DATABASE_SETTINGS = Object.freeze({
  loadBalanceHosts: 'round-robin',
  nodes: null,
  cluster: null,
  nodesFrom: null,
  target: 'primary',
  consistency: null,
  localSocket: null,
  sessionState: null,
  onPin: null,
  minPoolSize: null,
  reservePoolSize: null,
  maxDbConnections: null,
  maxDbClientConnections: null,
  serverLifetimeMs: null,
  queryWaitTimeoutMs: null,
  queryWaitFailFast: null,
  connectQuery: null,
  startupParameters: new Map<string, string>(),
  authUser: null,
  authQuery: null,
  authDbname: null,
}) satisfies Partial<DatabaseSettings>;

/** The settings that switch something on, switched off: PgBouncer's defaults but for the times that it limits. */
export const NO_EXTRA_SETTINGS = Object.freeze({
  hba: [],
  ldap: null,
  authUser: '',
  authQuery: '',
  authDbname: '',
  admitsStrangers: true,
  tellsOfUnknownUsers: false,
  scramIterations: 4096,
  failedLoginRate: 0,
  sessionState: 'classic',
  onPin: 'allow',
  consistency: 'strong',
  standbyWaitMs: 10,
  readPipelineLength: 8,
  balanceLeadingReads: false,
  deferBegin: true,
  boundedStalenessMs: 1000,
  standbyLagBytes: 16_777_216,
  standbyLagMs: 10_000,
  standbySlowStartMs: 5000,
  zone: '',
  minPoolSize: 0,
  reservePoolSize: 0,
  reservePoolTimeoutMs: 5000,
  maxDbConnections: 0,
  maxUserConnections: 0,
  maxDbClientConnections: 0,
  maxUserClientConnections: 0,
  serverResetQueryAlways: false,
  serverCheckQuery: null,
  serverCheckDelayMs: 30_000,
  serverRoundRobin: false,
  serverFastClose: false,
  localSocket: 'off',
  queryWaitNotifyMs: 0,
  queryWaitFailFast: false,
  failoverTimeoutMs: 0,
  queryTimeoutMs: 0,
  transactionTimeoutMs: 0,
  idleTransactionTimeoutMs: 0,
  clientIdleTimeoutMs: 0,
  autodbIdleTimeoutMs: 3_600_000,
  suspendTimeoutMs: 10_000,
  dnsMaxTtlMs: 15_000,
  dnsNxdomainTtlMs: 15_000,
  loginNotifyMessage: '',
  applicationNameAddHost: false,
  adminUsers: new Set<string>(),
  statsUsers: new Set<string>(),
  ownUid: null,
  peerId: 0,
  peers: new Map<number, PeerSettings>(),
  tls: Object.freeze({
    clientMode: 'disable',
    serverMode: 'disable',
    serverRevision: '',
  }) satisfies TlsSettings,
}) satisfies Partial<GatewaySettings>;
