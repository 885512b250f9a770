/** How a pool's server connections come about: when one may be tried, and what is remembered of one that failed. */
import type { ErrorFields } from '../../wire/error-fields.js';
import type { GatewayContext } from '../context.js';
import type { ConnectionId } from '../io.js';
import { recordServerFailure } from '../journal.js';
import { ServerConnection } from '../server/server-connection.js';
import { EncryptionPolicy, ServerEncryption } from '../server/server-encryption.js';
import type { ServerLogin } from '../server/server-login.js';
import type { ServerOwner } from '../server/server-owner.js';
import type { UserSettings } from '../settings.js';
import { UNKNOWN_FAILURE } from './login-failure.js';
import type { PoolLimits } from './pool-limits.js';

/** The pool, as this sees it. */
export interface LaunchingPool extends ServerOwner<ServerConnection> {
  readonly name: string;
  readonly limits: PoolLimits;
  readonly identity: { readonly user: UserSettings };
}

/** Makes the dialogue for a new server connection's login. */
export type NewLogin = (connection: ConnectionId, user: UserSettings) => ServerLogin;

export class Launching {
  /** Server connections that are not logged in yet. */
  count = 0;
  /** No connection is tried before this time, in ms. */
  retryAt = 0;
  /** Why the last connection could not be had; null: it could. */
  lastFailure: ErrorFields | null = null;
  private readonly context: GatewayContext;
  private readonly pool: LaunchingPool;
  private readonly newLogin: NewLogin;
  private readonly encryption = new EncryptionPolicy();

  constructor(context: GatewayContext, pool: LaunchingPool, newLogin: NewLogin) {
    this.context = context;
    this.pool = pool;
    this.newLogin = newLogin;
  }

  /** Begins a server connection; null: it is too early after a failure. */
  begin(): ServerConnection | null {
    const { io, settings, counters } = this.context;
    if (io.now() < this.retryAt) return null;
    const { address } = this.pool.limits;
    const connection = io.connect(address);
    const login = this.newLogin(connection, this.pool.identity.user);
    const mode = this.encryption.next(settings.tls.serverMode);
    const encryption = new ServerEncryption(io, mode, address);
    this.count += 1;
    counters.serverConnections += 1;
    return new ServerConnection(this.context, this.pool, connection, login, encryption);
  }

  /** A server connection has been logged in. */
  succeeded(): void {
    this.count -= 1;
    if (this.lastFailure === null) return;
    this.lastFailure = null;
    this.context.io.report({
      level: 'info',
      message: 'server connections work again',
      facts: { pool: this.pool.name },
    });
  }

  /** A server connection was lost before it was logged in. Returns why; null: another way is to be tried at once. */
  failed(server: ServerConnection, error: ErrorFields | null): ErrorFields | null {
    const { io, settings, counters } = this.context;
    this.count -= 1;
    if (this.encryption.triesOtherWay(server.encryption, error)) return null;
    const failure = error ?? UNKNOWN_FAILURE;
    counters.serverConnectFailures += 1;
    this.retryAt = io.now() + settings.serverLoginRetryMs;
    recordServerFailure(this.context, this.pool.name, failure);
    this.lastFailure = failure;
    return failure;
  }
}
