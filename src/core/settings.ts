/**
 * What the core needs to know of the configuration: frozen values, validated before they get here
 * (src/config makes them from files and flags). Names follow PgBouncer's settings; times are in ms.
 */
import type { ScramVerifier } from '../wire/scram.js';
import type { ServerAddress } from './io.js';

/** When a server connection goes back to its pool (PgBouncer's `pool_mode`). */
export type PoolMode = 'session' | 'transaction' | 'statement';

/** How clients prove who they are (PgBouncer's `auth_type`). `plain` asks for a clear-text password. */
export type AuthType = 'trust' | 'plain' | 'md5' | 'scram-sha-256';

/** What is known of a user's password. Any part may be missing. */
export interface UserSecret {
  /** Clear text: serves every method, towards clients and servers. */
  readonly password: string | null;
  /** PostgreSQL's `md5` + 32 hex digits. */
  readonly md5: string | null;
  /** A parsed `SCRAM-SHA-256$...` verifier (derived from the password where that is known). */
  readonly scram: ScramVerifier | null;
}

export interface UserSettings {
  readonly name: string;
  readonly secret: UserSecret;
}

export interface DatabaseSettings {
  /** The name that clients ask for; `*` is the fallback for any name. */
  readonly name: string;
  readonly address: ServerAddress;
  /** The database's name on the server; null: the name that the client asked for. */
  readonly serverDatabase: string | null;
  /** Log in to the server as this user whoever the client is; null: the client's user. */
  readonly forcedUser: UserSettings | null;
  /** null: {@link GatewaySettings.poolMode}. */
  readonly poolMode: PoolMode | null;
  /** null: {@link GatewaySettings.defaultPoolSize}. */
  readonly poolSize: number | null;
}

export interface GatewaySettings {
  readonly databases: ReadonlyMap<string, DatabaseSettings>;
  readonly users: ReadonlyMap<string, UserSettings>;
  readonly authType: AuthType;
  readonly poolMode: PoolMode;
  readonly defaultPoolSize: number;
  readonly maxClientConn: number;
  /** 0 switches the tracking of named prepared statements off. */
  readonly maxPreparedStatements: number;
  readonly serverResetQuery: string;
  /** A message longer than this closes its connection (PgBouncer's `max_packet_size`). */
  readonly maxPacketSize: number;
  /** Startup parameters that are accepted and not passed on (PgBouncer's `ignore_startup_parameters`). */
  readonly ignoreStartupParameters: ReadonlySet<string>;
  /** 0 in any of the following: no limit. */
  readonly queryWaitTimeoutMs: number;
  readonly clientLoginTimeoutMs: number;
  readonly serverIdleTimeoutMs: number;
  readonly serverLifetimeMs: number;
  readonly serverConnectTimeoutMs: number;
  /** How long no new connection is tried after a failed one. */
  readonly serverLoginRetryMs: number;
  readonly cancelWaitTimeoutMs: number;
  /** Report every client that comes and goes. */
  readonly logConnections: boolean;
  readonly logDisconnections: boolean;
  readonly logPoolerErrors: boolean;
}
