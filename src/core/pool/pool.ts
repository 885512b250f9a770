/**
 * The server connections of one database and user (and of one set of startup parameters that can't be changed
 * later), and the clients that wait for one. First come, first served: a connection that becomes free goes straight
 * to the oldest waiter.
 */
import type { ErrorFields } from '../../wire/error-fields.js';
import { buildStartup } from '../../wire/startup.js';
import {
  CONFIGURATION_CHANGED,
  DIRTY,
  LIFETIME_OVER,
  NOT_READY,
  PAUSED,
  QUERY_IN_PROGRESS,
  RESET_FAILED,
  TOO_MANY,
  UNFINISHED_INPUT,
} from '../close-reasons.js';
import type { GatewayContext } from '../context.js';
import type { Database } from '../databases.js';
import type { ServerAddress } from '../io.js';
import { differenceQuery, type ParameterSet } from '../parameters.js';
import type { ServerConnection } from '../server/server-connection.js';
import type { ServerOwner } from '../server/server-owner.js';
import type { Session } from '../session/session.js';
import type { ClientPool } from '../session/session-owner.js';
import type { UserSettings } from '../settings.js';
import { Cleaning } from './cleaning.js';
import { Deadlines } from './deadlines.js';
import { Launching, type NewLogin } from './launching.js';
import { isDefinite } from './login-failure.js';
import { leadElsewhere, type PoolLimits } from './pool-limits.js';
import { RestingServers } from './resting-servers.js';
import { WaiterQueue } from './waiter-queue.js';

/** What distinguishes a pool. */
export interface PoolIdentity {
  readonly database: Database;
  /** The user that logs in to the server, as it is known by now: the name stays, the secret may change. */
  user: UserSettings;
  /** Startup parameters that every server connection of the pool is opened with. */
  readonly startupParameters: ReadonlyMap<string, string>;
}

/** Who belongs to a pool. */
export interface PoolMembers {
  readonly servers: ReadonlySet<ServerConnection>;
  readonly clients: ReadonlySet<Session>;
  readonly waiters: Pick<WaiterQueue<Session>, 'first' | 'length'>;
}

/** What a pool asks of its gateway. */
export interface PoolOwner {
  newLogin: NewLogin;
  serverOpened(server: ServerConnection): void;
  serverClosed(server: ServerConnection): void;
  /** Cancels what runs for a client that is gone; false when that can't be done. */
  cancelAbandoned(server: ServerConnection, address: ServerAddress): boolean;
  /** Sends a client its greeting. */
  greet(client: Session): void;
}

export class Pool implements ServerOwner<ServerConnection>, ClientPool, PoolMembers {
  readonly identity: PoolIdentity;
  limits: PoolLimits;
  /** Reported parameters of a fresh server connection; null until there was one. */
  defaults: ParameterSet | null = null;
  private readonly context: GatewayContext;
  private readonly owner: PoolOwner;
  readonly servers = new Set<ServerConnection>();
  readonly waiters = new WaiterQueue<Session>();
  /** Clients of this pool, waiting, linked or neither. */
  readonly clients = new Set<Session>();
  /** What clients see, by what they asked for at startup: values that a server has accepted. */
  private readonly greeted = new Map<ParameterSet, ParameterSet>();
  private readonly resting = new RestingServers();
  private readonly launching: Launching;
  private readonly cleaning: Cleaning;
  private readonly deadlines: Deadlines;
  private dispatching = false;

  constructor(context: GatewayContext, owner: PoolOwner, identity: PoolIdentity, limits: PoolLimits) {
    this.context = context;
    this.owner = owner;
    this.identity = identity;
    this.limits = limits;
    this.launching = new Launching(context, this, (connection, user) => owner.newLogin(connection, user));
    this.cleaning = new Cleaning(context, this);
    this.deadlines = new Deadlines(context, this);
  }

  get name(): string {
    return `${this.database.name}/${this.userName}`;
  }

  get userName(): string {
    return this.identity.user.name;
  }

  get database(): Database {
    return this.identity.database;
  }

  get isUnused(): boolean {
    return this.clients.size === 0 && this.servers.size === 0;
  }

  /** Whether links end with transactions. */
  get sharesServers(): boolean {
    return this.limits.mode !== 'session';
  }

  // --- Clients ------------------------------------------------------------------------------------------------

  join(client: Session): void {
    this.clients.add(client);
  }

  /** Lets a new client in, at once or when a server connection has accepted what it asked for. */
  welcome(client: Session): void {
    const known = this.greeted.get(client.startupParameters);
    if (known !== undefined) {
      client.parameters = known;
      this.owner.greet(client);
    } else if (this.acquire(client)) this.go(client);
  }

  acquire(client: Session): boolean {
    const mayLink = this.waiters.length === 0 && !this.database.paused;
    const server = mayLink ? this.resting.take() : undefined;
    if (server !== undefined) return this.link(client, server);
    client.waitingSince = this.context.io.now();
    this.waiters.push(client);
    this.launch();
    return false;
  }

  /** Binds the two; true when the client can go on at once, false when the server is being prepared for it. */
  private link(client: Session, server: ServerConnection): boolean {
    const { totals } = this.database;
    totals.serverAssignments += 1;
    if (client.waitingSince > 0) totals.waitMs += this.context.io.now() - client.waitingSince;
    client.waitingSince = 0;
    client.link = server;
    server.bind(client, this.limits.mode);
    if (client.phase === 'welcoming') client.parameters = this.expectedParameters(client, server);
    if (client.parameters === server.parameters) return true;
    const query = differenceQuery(client.parameters, server.parameters);
    if (query === null) return true;
    server.linkEndsWhenIdle = false;
    server.runOwnQuery(query);
    return false;
  }

  /** A new client expects a fresh connection's values, but for those that its startup packet names. */
  private expectedParameters(client: Session, server: ServerConnection): ParameterSet {
    const asked = client.startupParameters;
    const known = this.greeted.get(asked);
    return known ?? this.context.parameterSets.overlay(this.defaults ?? server.parameters, asked.values);
  }

  private go(client: Session): void {
    if (client.phase !== 'welcoming') return client.linked();
    if (this.greeted.size >= GREETED_MAX) this.greeted.clear();
    this.greeted.set(client.startupParameters, client.parameters);
    this.giveBack(client);
    this.owner.greet(client);
  }

  /** Ends the link of a client that only needed it for its greeting. */
  giveBack(client: Session): void {
    const server = client.link;
    if (server === null) return;
    client.link = null;
    server.unbind();
    this.available(server);
  }

  leave(client: Session): void {
    this.clients.delete(client);
    this.waiters.remove(client);
    const server = client.link;
    if (server === null) return;
    const needsClient = server.needsClient;
    client.link = null;
    server.unbind();
    if (needsClient || server.phase !== 'ready') return server.close(UNFINISHED_INPUT);
    if (server.isClean || server.canRollBack) return this.cleaning.clean(server);
    if (server.outstandingRequests === 0) return server.close(NOT_READY);
    server.finishAlone();
    // What runs there should not run on for nobody, nor let the server have more connections than the pool's size.
    if (!client.saidGoodbye && !this.owner.cancelAbandoned(server, this.limits.address)) {
      server.close(QUERY_IN_PROGRESS);
    }
  }

  finishedAlone(server: ServerConnection): void {
    this.cleaning.clean(server);
  }

  // --- Server connections -------------------------------------------------------------------------------------

  serverReady(server: ServerConnection): void {
    this.defaults ??= server.parameters;
    this.launching.succeeded();
    this.available(server);
  }

  linkIdle(server: ServerConnection): void {
    const client = server.link as Session;
    server.unbind();
    client.released();
    this.available(server);
  }

  ownQueryDone(server: ServerConnection, error: ErrorFields | null): void {
    const client = server.link as Session | null;
    if (client === null) {
      // Its client has left while it was being prepared: it comes back through finishedAlone().
      if (server.finishing) return;
      if (error !== null) server.close(RESET_FAILED);
      else this.cleaning.done(server);
      return;
    }
    server.linkEndsWhenIdle = this.sharesServers;
    if (error !== null) return client.setupDone(error);
    // The server's spelling is the truth from now on: UTF8 for a client that asked for utf-8.
    client.parameters = server.parameters;
    this.go(client);
  }

  serverGone(server: ServerConnection, error: ErrorFields | null): void {
    if (!this.servers.delete(server)) return;
    this.resting.remove(server);
    this.owner.serverClosed(server);
    if (!server.wasReady) {
      const failure = this.launching.failed(server, error);
      if (failure !== null) this.tellWaiters(failure);
    }
    this.launch();
  }

  /** A server connection is free: the oldest waiter gets it, or it rests. */
  available(server: ServerConnection): void {
    if (server.cancelsInFlight > 0) return; // cancelEnded() comes back to it
    const unfit = this.unfitness(server);
    if (unfit !== null) return server.close(unfit);
    this.resting.add(server, this.context.io.now());
    this.dispatch();
  }

  /** Why a connection that has become free can't stay; null: it can. */
  private unfitness(server: ServerConnection): string | null {
    if (server.closeReason !== null) return server.closeReason;
    if (!server.isClean) return DIRTY;
    if (this.deadlines.isTooOld(server)) return LIFETIME_OVER;
    if (this.database.paused) return PAUSED;
    return this.servers.size > this.limits.size ? TOO_MANY : null;
  }

  /** The last cancel request for this connection has ended. */
  cancelEnded(server: ServerConnection): void {
    if (server.link === null && server.phase === 'ready' && server.outstandingRequests === 0)
      this.available(server);
  }

  /** A loop and no recursion: ten thousand waiters may each give the connection back at once. */
  private dispatch(): void {
    if (this.dispatching) return;
    this.dispatching = true;
    while (this.resting.length > 0 && !this.database.paused) {
      const client = this.waiters.shift();
      if (client === null) break;
      if (this.link(client, this.resting.take() as ServerConnection)) this.go(client);
    }
    this.dispatching = false;
  }

  /** Opens as many connections as waiters lack, within the pool's size. */
  private launch(): void {
    if (this.database.paused) return;
    while (this.launching.count < this.waiters.length && this.servers.size < this.limits.size) {
      const server = this.launching.begin();
      if (server === null) return;
      this.servers.add(server);
      this.owner.serverOpened(server);
    }
  }

  /** The packet that opens a session on the server. */
  startupPacket(): Buffer {
    const parameters = new Map([
      ['user', this.identity.user.name],
      ['database', this.limits.serverDatabase],
      ...this.identity.startupParameters,
    ]);
    return buildStartup(parameters);
  }

  /** No server connection could be had: who should not wait for one is told why. */
  private tellWaiters(failure: ErrorFields): void {
    const definite = isDefinite(failure.code);
    for (const client of this.waiters.toArray()) {
      // Who was served before keeps waiting for the server to come back; a wrong address should not be waited out.
      const newcomer = client.phase === 'welcoming' && this.defaults === null;
      if (definite || newcomer) client.fail(failure);
    }
  }

  // --- Time ---------------------------------------------------------------------------------------------------

  /** Does what is due, and returns the time in ms at which more will be. */
  advance(now: number): number {
    const next = this.deadlines.advance(now);
    if (this.waiters.length === 0) return next;
    this.launch();
    return this.launching.retryAt > now ? Math.min(next, this.launching.retryAt) : next;
  }

  get lastFailure(): ErrorFields | null {
    return this.launching.lastFailure;
  }

  // --- Lifecycle ----------------------------------------------------------------------------------------------

  /** New limits; connections to another address or database are replaced as their links end. */
  applyLimits(limits: PoolLimits): void {
    const moved = leadElsewhere(this.limits, limits);
    this.limits = limits;
    if (!moved) return;
    this.defaults = null;
    this.greeted.clear();
    this.replaceServers(CONFIGURATION_CHANGED);
  }

  /** Closes every server connection as soon as it serves nobody; new ones are made when they are needed. */
  replaceServers(reason: string): void {
    for (const server of [...this.servers]) {
      server.closeReason = reason;
      if (server.isResting) server.close(reason);
    }
  }

  get serverCount(): number {
    return this.servers.size;
  }

  get hasServersToClose(): boolean {
    for (const server of this.servers) if (server.closeNeeded) return true;
    return false;
  }

  get outstandingRequests(): number {
    let sum = 0;
    for (const server of this.servers) sum += server.outstandingRequests;
    return sum;
  }

  /** Goes on after its database was paused. */
  resume(): void {
    this.dispatch();
    this.launch();
  }

  /** Closes every server connection. */
  closeServers(reason: string): void {
    for (const server of [...this.servers]) server.close(reason);
  }
}

/** Sets of startup values that are remembered. */
const GREETED_MAX = 1000;
