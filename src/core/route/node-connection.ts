/**
 * A connection of ours to one node, outside of the pools and of their limits, as the connections of `auth_query` are: who is
 * not known can't be used. It logs in as one of the users whose pools there are, the next one where one is refused, and is opened
 * again whenever it is lost.
 */
import type { ErrorFields } from '../../wire/error-fields.js';
import { buildStartup } from '../../wire/startup.js';
import { CONFIGURATION_CHANGED } from '../close-reasons.js';
import type { GatewayContext } from '../context.js';
import type { Database } from '../databases.js';
import { configuredAddress, type Hosts } from '../hosts.js';
import {
  CLOSED_NODE_RETRY_MS_MIN,
  NODE_OPENING_MS_MAX,
  NODE_RETRY_MS_MAX,
  NODE_RETRY_MS_MIN,
} from '../limits.js';
import { Launching, type NewLogin } from '../pool/launching.js';
import { isTemporary, passesByItself } from '../pool/login-failure.js';
import type { PoolLimits } from '../pool/pool-limits.js';
import type { ServerConnection } from '../server/server-connection.js';
import { connectionFailure } from '../server/server-errors.js';
import type { ServerOwner } from '../server/server-owner.js';
import type { NodeSettings, UserSettings } from '../settings.js';
import type { Logins } from './logins.js';

/** What it asks of the gateway. */
export interface NodeConnectionOwner {
  readonly newLogin: NewLogin;
  serverOpened(server: ServerConnection): void;
  serverClosed(server: ServerConnection): void;
}

/** Who uses it. */
export interface NodeConnectionUser {
  /** It can be asked something. */
  ready(server: ServerConnection): void;
  /** It is not there; another try follows by itself. @param error why, if that was said */
  lost(error: ErrorFields): void;
  /** The node has been promoted. */
  leftRecovery?(): void;
}

/** What all connections to nodes of one database share. */
export interface NodeConnections {
  readonly context: GatewayContext;
  readonly owner: NodeConnectionOwner;
  readonly hosts: Hosts;
  readonly database: Database;
  readonly logins: Logins;
}

const NEVER = Number.POSITIVE_INFINITY;
/** How much of the time that a node has been away for passes between two tries. */
const RETRY_PARTS = 8;
/**
 * What the defaults of a role, which everybody may change for his own, must not decide: else one user could make a node unknown
 * to all. (A standby runs nothing in a transaction that is serializable.)
 */
const UNMOVED = [
  ['statement_timeout', '0'],
  ['lock_timeout', '0'],
  ['default_transaction_isolation', 'read committed'],
] as const;
const TOO_LATE = connectionFailure('it took too long to log in');

export class NodeConnection implements ServerOwner<ServerConnection> {
  readonly isQuiet = true;
  readonly identity: { user: UserSettings };
  /** Null: there is none, or it isn't logged in. */
  server: ServerConnection | null = null;
  private readonly shared: NodeConnections;
  private readonly user: NodeConnectionUser;
  private readonly applicationName: string;
  private readonly launching: Launching;
  private readonly settings: NodeSettings;
  private opening: ServerConnection | null = null;
  private isWanted = true;
  private retryAt = 0;
  /** Since when it has been lost, in ms. */
  private lostSince: number;
  /** When it was last to be tried at once, in ms. */
  private hurriedAt = 0;

  constructor(
    shared: NodeConnections,
    settings: NodeSettings,
    applicationName: string,
    user: NodeConnectionUser,
  ) {
    const { context, owner, hosts, logins } = shared;
    this.shared = shared;
    this.settings = settings;
    this.user = user;
    this.applicationName = applicationName;
    this.identity = { user: logins.current };
    this.lostSince = context.io.now();
    this.launching = new Launching(context, this, hosts, (connection, login) =>
      owner.newLogin(connection, login),
    );
  }

  get database(): Database {
    return this.shared.database;
  }

  get name(): string {
    return `${this.database.name}/${this.userName}`;
  }

  get userName(): string {
    return this.identity.user.name;
  }

  get limits(): PoolLimits {
    return { ...this.shared.logins.limits, addresses: [this.settings.address] };
  }

  // --- Opening ------------------------------------------------------------------------------------------------

  /** Tries at once. */
  hurry(): void {
    this.retryAt = 0;
    this.hurriedAt = this.shared.context.io.now();
    this.open();
  }

  private open(): void {
    const { context, database, owner, logins } = this.shared;
    const { io, stopping } = context;
    if (!this.isWanted || this.server !== null || this.opening !== null || stopping || database.paused)
      return;
    if (io.now() < this.retryAt) return;
    this.identity.user = logins.current;
    this.launching.retryAt = 0;
    const target = this.launching.nextTarget();
    if (target === null) {
      const { lastFailure, awaitsHost } = this.launching;
      if (!awaitsHost && lastFailure !== null) this.failed(lastFailure);
      return;
    }
    this.opening = this.launching.begin(target);
    owner.serverOpened(this.opening);
  }

  startupPacket(server: ServerConnection): Buffer {
    const { startupParameters, serverDatabase } = this.limits;
    const parameters = new Map([
      ...startupParameters,
      ['user', this.userName],
      ['database', serverDatabase],
      ['client_encoding', 'UTF8'],
      // PostgreSQL's own objects come first, whatever the role's default is.
      ['search_path', 'pg_catalog, pg_temp'],
      ['application_name', this.applicationName],
      ...UNMOVED,
    ]);
    return buildStartup(parameters, this.launching.minorOf(server));
  }

  serverReady(server: ServerConnection): void {
    this.launching.succeeded(server);
    this.shared.logins.accepted(this.identity.user);
    this.opening = null;
    this.server = server;
    this.user.ready(server);
  }

  leftRecovery(): void {
    this.user.leftRecovery?.();
  }

  openingFailure(error: ErrorFields): string {
    return error.message;
  }

  serverGone(server: ServerConnection, error: ErrorFields | null): void {
    const { owner, hosts, context } = this.shared;
    hosts.use(server.address, -1);
    owner.serverClosed(server);
    if (server === this.server) {
      this.server = null;
      this.lostSince = context.io.now();
      this.retryAt = 0;
      this.user.lost(error ?? connectionFailure('the connection was lost'));
      this.open();
    } else if (server === this.opening) {
      this.opening = null;
      const failure = this.launching.failed(server, error);
      if (failure === null) this.open();
      else this.failed(failure);
    }
  }

  private failed(error: ErrorFields): void {
    const { context, logins } = this.shared;
    const now = context.io.now();
    const passes = passesByItself(error, this.database);
    const others = passes ? false : logins.refused(this.identity.user);
    // A node that a store has named a moment ago opens any moment now.
    const isClosed = passes && !isTemporary(error.code);
    const since = isClosed ? Math.max(this.lostSince, this.hurriedAt) : this.lostSince;
    const shortest = isClosed ? CLOSED_NODE_RETRY_MS_MIN : NODE_RETRY_MS_MIN;
    const pause = Math.max(shortest, (now - since) / RETRY_PARTS);
    this.retryAt = others ? now : now + Math.min(NODE_RETRY_MS_MAX, pause);
    if (!others && !passes) this.retryAt = now + context.settings.serverLoginRetryMs;
    this.user.lost(error);
  }

  // --- Time, and what operators do ----------------------------------------------------------------------------

  /** Does what is due, and returns the time in ms at which more will be. */
  advance(now: number): number {
    const { opening } = this;
    if (opening !== null) {
      const due = opening.createdAt + NODE_OPENING_MS_MAX;
      if (now < due) return due;
      opening.abandon(TOO_LATE.message);
      return this.retryAt;
    }
    this.open();
    const isWaiting = this.isWanted && this.server === null && this.opening === null;
    return isWaiting && !this.database.paused && this.retryAt > now ? this.retryAt : NEVER;
  }

  /** Closes it; another one is opened by itself. */
  replace(reason: string): void {
    this.retryAt = 0;
    this.server?.close(reason);
    this.opening?.close(reason);
  }

  /** A host name has other addresses. */
  leave(name: string, vanished: ReadonlySet<string>): void {
    const address = this.server === null ? null : configuredAddress(this.server.address);
    if (address?.name === name && vanished.has(address.host)) this.replace(CONFIGURATION_CHANGED);
  }

  /** Closes it for good. */
  end(reason: string): void {
    this.isWanted = false;
    this.replace(reason);
  }

  ownQueryDone(): void {}
  linkIdle(): void {}
  finishedAlone(): void {}
  cancelEnded(): void {}
}
