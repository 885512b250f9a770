/** How a pool's server connections come about: when and where one is tried, and what is remembered of one that failed. */
import type { ErrorFields } from '../../wire/error-fields.js';
import type { GatewayContext } from '../context.js';
import type { Hosts } from '../hosts.js';
import type { ConnectionId, ServerAddress } from '../io.js';
import { recordClosing, recordServerFailure } from '../journal.js';
import { NODE_RETRY_MS_MIN } from '../limits.js';
import { ServerConnection } from '../server/server-connection.js';
import { EncryptionPolicy, ServerEncryption } from '../server/server-encryption.js';
import { connectionFailure } from '../server/server-errors.js';
import type { ServerLogin } from '../server/server-login.js';
import type { ServerOwner } from '../server/server-owner.js';
import type { UserSettings } from '../settings.js';
import { UNKNOWN_FAILURE } from './login-failure.js';
import type { PoolLimits } from './pool-limits.js';
import { ProtocolPolicy } from './protocol-policy.js';
import { Shortcuts, type Target } from './shortcuts.js';

/** The pool, as this sees it. */
export interface LaunchingPool extends ServerOwner<ServerConnection> {
  readonly name: string;
  readonly limits: PoolLimits;
  readonly identity: { readonly user: UserSettings };
  /** Logs itself what is worth knowing of its connections. */
  readonly isQuiet?: boolean;
}

/** Makes the dialogue for a new server connection's login. */
export type NewLogin = (connection: ConnectionId, user: UserSettings) => ServerLogin;

const NEVER = Number.POSITIVE_INFINITY;

interface Opening {
  readonly target: Target;
  readonly protocolMinor: number;
}

export class Launching {
  /** Server connections that are not logged in yet. */
  count = 0;
  /** No connection is tried before this time, in ms. */
  retryAt = 0;
  /** Why the last connection could not be had; null: it could. */
  lastFailure: ErrorFields | null = null;
  /** A host name is being looked up. */
  awaitsHost = false;
  private readonly context: GatewayContext;
  private readonly pool: LaunchingPool;
  private readonly hosts: Hosts;
  private readonly newLogin: NewLogin;
  private readonly encryption = new EncryptionPolicy();
  private readonly shortcuts: Shortcuts;
  private readonly protocol = new ProtocolPolicy();
  /** Where those go that are not logged in yet, and how. */
  private readonly opening = new Map<ServerConnection, Opening>();
  /** The last connection that was tried has worked. */
  private isProven = false;
  /** Position in the host list. */
  private nextHost = 0;
  /** Tries since one worked. */
  private failures = 0;

  constructor(context: GatewayContext, pool: LaunchingPool, hosts: Hosts, newLogin: NewLogin) {
    this.context = context;
    this.pool = pool;
    this.hosts = hosts;
    this.newLogin = newLogin;
    this.shortcuts = new Shortcuts(context, pool);
  }

  /** The server could not be reached, and is left alone for a while (`server_login_retry`). */
  get isResting(): boolean {
    return this.context.io.now() < this.retryAt;
  }

  /**
   * Where the next connection goes, of several hosts the next one each time or the same until it fails
   * (`load_balance_hosts`). Null: nowhere for now; it is too early after a failure, a host name is being looked up, or one
   * attempt is to show first whether the server answers, or which way.
   */
  nextTarget(): Target | null {
    const { addresses } = this.pool.limits;
    this.awaitsHost = false;
    for (let tries = 0; tries < addresses.length; tries++) {
      if (this.isResting || (!this.isProven && this.count > 0)) return null;
      const address = addresses[this.nextHost % addresses.length]!;
      const found = this.hosts.find(address);
      this.awaitsHost = found === null;
      if (found === null) return null;
      if (!('error' in found)) return this.shortcuts.target(found);
      this.nameFailed(address, found.error);
    }
    return null;
  }

  begin(target: Target): ServerConnection {
    const { io, settings, counters } = this.context;
    const { address } = target;
    if (this.pool.limits.loadBalanceHosts === 'round-robin') this.nextHost += 1;
    const connection = io.connect(address);
    const plain = this.newLogin(connection, this.pool.identity.user);
    const login = this.shortcuts.login(target, connection, plain, (step) => server.loginGoesOn(step));
    const mode = this.encryption.next(settings.tls.serverMode);
    const encryption = new ServerEncryption(io, mode, address);
    this.count += 1;
    counters.serverConnections += 1;
    this.hosts.use(address, 1);
    const server = new ServerConnection(this.context, this.pool, connection, login, encryption);
    server.place.isQuiet = this.pool.isQuiet === true;
    this.opening.set(server, { target, protocolMinor: this.protocol.next() });
    this.shortcuts.begun(server, target);
    return server;
  }

  /** The minor version of the protocol that a connection which is being opened asks for. */
  minorOf(server: ServerConnection): number {
    return this.opening.get(server)?.protocolMinor ?? 0;
  }

  /** A server connection has been logged in. */
  succeeded(server: ServerConnection): void {
    this.count -= 1;
    this.protocol.succeeded(this.minorOf(server), server.parameters.values.get('server_version'));
    this.opening.delete(server);
    this.shortcuts.settled(server);
    this.isProven = true;
    this.failures = 0;
    if (this.lastFailure === null) return;
    this.lastFailure = null;
    if (this.pool.isQuiet) return;
    this.context.io.report({
      level: 'info',
      message: 'server connections work again',
      facts: { pool: this.pool.name },
    });
  }

  /** A server connection was lost before it was logged in. Returns why; null: another way is to be tried at once. */
  failed(server: ServerConnection, error: ErrorFields | null): ErrorFields | null {
    const { target, protocolMinor } = this.opening.get(server)!;
    this.count -= 1;
    this.opening.delete(server);
    this.shortcuts.settled(server);
    if (this.protocol.triesOtherWay(protocolMinor, error)) return null;
    if (this.shortcuts.ended(server, target, error)) return null;
    if (this.encryption.triesOtherWay(server.encryption, error)) return null;
    const failure = error ?? UNKNOWN_FAILURE;
    this.noteFailure(failure);
    return failure;
  }

  private noteFailure(failure: ErrorFields): void {
    const { io, settings, counters } = this.context;
    const { addresses, loadBalanceHosts } = this.pool.limits;
    counters.serverConnectFailures += 1;
    this.isProven = false;
    this.failures += 1;
    if (loadBalanceHosts === 'disable') this.nextHost += 1;
    // Only when all addresses have failed is there a reason to wait.
    const all = addresses.reduce((sum, address) => sum + this.hosts.countOf(address), 0);
    // A node that has been promoted a moment ago may not be open yet.
    const followsNodes = this.pool.database.targetAddresses !== null;
    const patienceMs = Math.min(settings.serverLoginRetryMs, followsNodes ? NODE_RETRY_MS_MIN : NEVER);
    if (this.failures % all === 0) this.retryAt = io.now() + patienceMs;
    if (!this.pool.isQuiet) recordServerFailure(this.context, this.pool.name, failure);
    this.lastFailure = failure;
  }

  private nameFailed(address: ServerAddress, error: string): void {
    const host = 'host' in address ? address.host : '';
    const { database, userName } = this.pool;
    const id = this.context.newId();
    const subject = { side: 'server', id, database: database.name, user: userName, address: host } as const;
    const place = { isQuiet: this.pool.isQuiet === true };
    recordClosing(
      this.context,
      { subject, createdAt: this.context.io.now(), place },
      'server DNS lookup failed',
    );
    if (this.pool.limits.loadBalanceHosts === 'round-robin') this.nextHost += 1;
    this.noteFailure(connectionFailure(`could not translate host name "${host}" to address: ${error}`));
  }
}
