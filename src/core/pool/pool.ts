/**
 * The server connections of one database and user (and of one set of startup parameters that can't be changed later), and
 * the clients that wait for one. First come, first served: a connection that becomes free goes to the oldest waiter.
 */
import type { ErrorFields } from '../../wire/error-fields.js';
import {
  CONFIGURATION_CHANGED,
  DIRTY,
  EVICTED,
  NOT_READY,
  PAUSED,
  PRIMARY_CHANGED,
  QUERY_IN_PROGRESS,
  TOO_MANY,
  UNFINISHED_INPUT,
} from '../close-reasons.js';
import type { GatewayContext } from '../context.js';
import type { Database } from '../databases.js';
import type { Hosts } from '../hosts.js';
import type { ServerAddress } from '../io.js';
import { recordReserve } from '../journal.js';
import type { LinkedClient } from '../link.js';
import { IN_RECOVERY, type ParameterSet } from '../parameters.js';
import type { OwnQuery } from '../server/exchange.js';
import type { ServerConnection } from '../server/server-connection.js';
import type { ServerOwner } from '../server/server-owner.js';
import type { Session } from '../session/session.js';
import type { ClientPool } from '../session/session-owner.js';
import { align, alignAgain, alignmentDone } from './alignment.js';
import type { Capacity, CappedPool, Share } from './capacity.js';
import { Cleaning } from './cleaning.js';
import { Deadlines } from './deadlines.js';
import { Greetings } from './greetings.js';
import { Launching } from './launching.js';
import { IS_STANDBY, passesByItself } from './login-failure.js';
import type { PoolIdentity } from './pool-identity.js';
import { leadElsewhere, type PoolLimits } from './pool-limits.js';
import { noneFree } from './pool-messages.js';
import type { PoolMembers, PoolOwner } from './pool-owner.js';
import { PoolServers } from './pool-servers.js';
import { RestingServers } from './resting-servers.js';
import { serverStartup } from './server-startup.js';
import { mayLinkAtLogin, takeUntouched } from './session-links.js';
import { WaiterQueue } from './waiter-queue.js';

export class Pool implements ServerOwner<ServerConnection>, ClientPool, PoolMembers, CappedPool {
  readonly identity: PoolIdentity;
  limits: PoolLimits;
  protected readonly context: GatewayContext;
  private readonly owner: PoolOwner;
  private readonly hosts: Hosts;
  readonly servers: PoolServers = new PoolServers();
  readonly waiters = new WaiterQueue<Session>();
  /** Clients of this pool, waiting, linked or neither. */
  readonly clients = new Set<Session>();
  private readonly greetings: Greetings;
  readonly share: Share;
  readonly resting = new RestingServers();
  private readonly launching: Launching;
  private readonly cleaning: Cleaning;
  private readonly deadlines: Deadlines;
  private readonly capacity: Capacity;
  /** Something is to be done with a server connection whenever its link ends. */
  private worksBetweenLinks = false;
  private dispatching = false;
  protected readonly linksAtLogin: typeof mayLinkAtLogin = mayLinkAtLogin;

  constructor(
    context: GatewayContext,
    owner: PoolOwner,
    hosts: Hosts,
    identity: PoolIdentity,
    limits: PoolLimits,
  ) {
    this.context = context;
    this.owner = owner;
    this.hosts = hosts;
    this.identity = identity;
    this.limits = limits;
    this.greetings = new Greetings(context);
    this.launching = new Launching(context, this, hosts, (connection, user) =>
      owner.newLogin(connection, user),
    );
    this.cleaning = new Cleaning(context, this);
    this.deadlines = new Deadlines(context, this);
    this.capacity = owner.capacity;
    this.share = this.capacity.shareOf(
      identity.database.name,
      identity.user.name,
      identity.node?.settings.name,
    );
    this.followSettings();
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

  /** Nothing is lost when it is forgotten. */
  get isUnused(): boolean {
    const isEmpty = this.clients.size === 0 && this.servers.size === 0;
    return isEmpty && !this.limits.isAlwaysWarm && !this.launching.isResting;
  }

  /** Whether links end with transactions. */
  get sharesServers(): boolean {
    return this.limits.mode !== 'session';
  }

  // --- Clients ------------------------------------------------------------------------------------------------

  join(client: Session): void {
    client.follow(this.limits);
    this.clients.add(client);
  }

  welcome(client: Session): void {
    const known = this.greetings.find(client.startupParameters);
    if (known !== undefined && !this.linksAtLogin(this)) {
      client.parameters = known;
      this.owner.greet(client);
    } else if (this.acquire(client)) this.goOn(client);
  }

  acquire(client: Session): boolean {
    const mayLink = this.waiters.length === 0 && !this.isHeld;
    const server = mayLink
      ? (this.resting.takePrevious(client) ?? this.resting.take() ?? takeUntouched(this))
      : undefined;
    return server === undefined ? this.queue(client) : this.link(client, server);
  }

  /** The client waits; it must not be linked before {@link acquire} has returned. */
  private queue(client: Session): false {
    client.waitingSince = this.context.io.now();
    this.waiters.push(client);
    this.supply();
    if (this.limits.waitFailFast && !this.isHeld && !this.canServeAllWaiters) {
      client.fail(noneFree(this));
    }
    return false;
  }

  /** A server connection is on its way for each of them, or can be opened soon. */
  private get canServeAllWaiters(): boolean {
    const { count, awaitsHost, isResting } = this.launching;
    const coming = count + this.cleaning.testing;
    if (coming >= this.waiters.length) return true;
    // The first connection of a pool shows whether the server answers; the others come after it.
    const isProbing = (count > 0 || awaitsHost) && !isResting;
    return isProbing && this.waiters.length - coming <= this.limits.size - this.share.pair.open;
  }

  /** Binds the two; true when the client can go on at once, false when the server is being prepared for it. */
  private link(client: Session, server: ServerConnection): boolean {
    // For its greeting a client only borrows one, unless it keeps it for its session.
    const isBorrowed = client.phase === 'welcoming' && this.sharesServers;
    this.database.waited(client, this.context.io.now(), !isBorrowed);
    client.link = server;
    server.bind(client, this.limits.mode);
    if (client.virtual !== null) client.virtual.server = server;
    if (client.phase === 'welcoming') {
      client.parameters = this.greetings.expected(client.startupParameters, server.parameters);
    }
    return this.align(client, server);
  }

  /** Returns false when the client must wait for it; then {@link goOn} is called. */
  align(client: Session, server: ServerConnection): boolean {
    return align(client, server);
  }

  alignAgain(client: Session, server: ServerConnection): boolean {
    return alignAgain(this, client, server);
  }

  goOn(client: Session): void {
    if (client.phase !== 'welcoming') return client.linked();
    this.greetings.learn(client.startupParameters, client.parameters);
    if (this.sharesServers) this.giveBack(client);
    else client.link?.leaveUntouched();
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
    this.leaveRunning(server, !client.saidGoodbye);
  }

  /** Nobody waits any more for what runs there. It has no link. @param isCancelled or it runs to its end */
  leaveRunning(server: ServerConnection, isCancelled: boolean): void {
    server.place.abandonedAt = this.context.io.now();
    // It is made clean when everything that was asked for has been answered.
    server.finishing = true;
    server.endInput();
    // What runs there should not run on for nobody, nor let the server have more connections than the pool's size.
    if (isCancelled && !this.owner.cancelAbandoned(this, server)) server.close(QUERY_IN_PROGRESS);
  }

  finishedAlone(server: ServerConnection): void {
    this.cleaning.clean(server);
  }

  // --- Server connections -------------------------------------------------------------------------------------

  serverReady(server: ServerConnection): void {
    if (this.limits.wantsPrimary && server.parameters.values.get(IN_RECOVERY) === 'on') {
      server.place.ownWork = 'first question';
      return server.openingFailed(IS_STANDBY);
    }
    this.cleaning.begin(server);
  }

  opened(server: ServerConnection): void {
    if (this.greetings.defaults === null) this.database.learn(server.parameters);
    this.launching.succeeded(server);
    this.greetings.defaults ??= server.parameters;
    // However short its lifetime, it serves once.
    const why = this.whyClose(server, this.context.io.now());
    if (why !== null) return server.close(why);
    this.rest(server, true);
    this.supply();
    this.keepWarm();
  }

  linkIdle(server: ServerConnection): void {
    const client = server.link as LinkedClient;
    const isLast = server.isPinned; // what it has sent since needs what it has left there
    server.unbind();
    client.released();
    client.idleSince = this.context.io.now();
    if (this.context.farewell !== null && (isLast || !client.hasMore)) client.fail(this.context.farewell);
    // A drain ends the links of sessions that would keep their server connection, too.
    if (this.worksBetweenLinks || server.needsReset) this.cleaning.clean(server);
    else this.available(server);
  }

  ownQueryDone(server: ServerConnection, query: OwnQuery): void {
    const client = server.link as Session | null;
    if (query.alignment !== null) alignmentDone(this, server, query, query.alignment);
    else if (client !== null) {
      if (query.error !== null) client.fail(query.error);
    } else if (!server.finishing) this.cleaning.done(server, query);
  }

  serverGone(server: ServerConnection, error: ErrorFields | null): void {
    if (!this.servers.delete(server)) return;
    this.resting.remove(server);
    this.hosts.use(server.address, -1);
    const wasOpening = !server.wasReady || server.place.isOpening;
    this.cleaning.left(server);
    this.owner.serverClosed(server);
    if (wasOpening) {
      const failure = this.launching.failed(server, error);
      if (failure !== null) this.tellWaiters(failure);
    }
    this.capacity.closed(this);
    this.supply();
  }

  available(server: ServerConnection): void {
    if (this.mayStay(server)) this.rest(server, true);
  }

  used(server: ServerConnection): void {
    const { serverCheckQuery, serverCheckDelayMs } = this.context.settings;
    if (this.mayStay(server)) this.rest(server, serverCheckQuery === null || serverCheckDelayMs > 0);
  }

  /** False when it was closed, or when a cancel request keeps it from being used: cancelEnded() comes back to it. */
  private mayStay(server: ServerConnection): boolean {
    if (server.cancelsInFlight > 0) return false;
    const now = this.context.io.now();
    if (this.deadlines.isTooOld(server, now)) {
      this.deadlines.closeAged(server);
      return false;
    }
    const why = this.whyClose(server, now);
    if (why !== null) server.close(why);
    return why === null;
  }

  private whyClose(server: ServerConnection, now: number): string | null {
    if (server.closeReason !== null) return server.closeReason;
    if (!server.isClean) return DIRTY;
    if (this.database.paused) return PAUSED;
    if (this.capacity.hasOverdraft && this.capacity.isOverdrawn(this)) return TOO_MANY;
    const isWaitedFor = this.waiters.length > 0 && this.capacity.isAnothersTurn(this, server, now);
    return isWaitedFor ? EVICTED : null;
  }

  /** A server connection is free: the oldest waiter gets it, or it rests. */
  private rest(server: ServerConnection, isTested: boolean): void {
    if (isTested) this.resting.add(server, this.context.io.now());
    else this.resting.addUntested(server, this.context.io.now());
    if (isTested) return this.dispatch();
    this.supply();
    if (server.place.isResting) this.capacity.rested();
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
    while (!this.isHeld) {
      const client = this.waiters.first;
      if (client === null) break;
      if (this.sharesWithOthers(client)) continue;
      if (this.resting.length === 0) break;
      this.waiters.remove(client);
      if (this.link(client, this.resting.take() as ServerConnection)) this.goOn(client);
    }
    this.dispatching = false;
    if (this.resting.length > 0) this.capacity.rested();
  }

  /** The oldest waiter needs no server connection for itself, and waits no more. */
  protected sharesWithOthers: (client: Session) => boolean = () => false;

  /** Provides as many server connections as waiters lack: by testing what has rested for long, or by opening new ones. */
  supply(): void {
    if (this.isHeld) return;
    while (this.launching.count + this.cleaning.testing < this.waiters.length) {
      const server = this.resting.takeUntested();
      if (server === undefined) break;
      this.cleaning.test(server);
    }
    while (this.launching.count + this.cleaning.testing < this.waiters.length) {
      if (!this.launch(true)) return;
    }
  }

  /** Keeps it at its minimum, one connection after the other. */
  private keepWarm(): void {
    const isWanted = this.clients.size > 0 || this.limits.isAlwaysWarm;
    const isFull = this.share.pair.open >= this.limits.minSize;
    if (isFull || !isWanted || this.isHeldUp || this.launching.count > 0) return;
    this.launch(false);
  }

  /** Its clients get no server connection for now: by an operator's word, or because there is no primary. */
  get isHeld(): boolean {
    return this.database.paused || this.limits.addresses.length === 0 || this.servers.isClosing;
  }

  private get isHeldUp(): boolean {
    return this.isHeld || this.context.suspended || this.context.stopping;
  }

  /** Opens one server connection, if it may. */
  private launch(mayEvict: boolean): boolean {
    const mayUseReserve = this.deadlines.isReserveOpen && this.launching.count === 0;
    // The usual case under load, and with each request: where it would go need not be found out.
    if (!mayUseReserve && this.capacity.isFull(this)) return false;
    const target = this.launching.nextTarget();
    if (target === null) return false;
    const usesReserve = mayUseReserve && this.share.pair.open >= this.limits.size;
    if (!this.capacity.admits(this, { mayEvict, mayUseReserve: usesReserve })) return false;
    if (usesReserve) recordReserve(this.context, this.waiters.first as Session);
    const server = this.launching.begin(target);
    this.servers.add(server);
    this.capacity.opened(this);
    this.owner.serverOpened(server);
    return true;
  }

  startupPacket(server: ServerConnection): Buffer {
    return serverStartup(this.identity, this.limits, this.launching.minorOf(server));
  }

  openingFailure(error: ErrorFields): string {
    return error.message;
  }

  /** The server refuses logins and nothing works any more: waiting would not help. Who can't reach it waits for it. */
  protected tellWaiters(failure: ErrorFields): void {
    // Those that are to be closed when their links end don't work for anybody else.
    const works = [...this.servers].some(({ wasReady, closeNeeded }) => wasReady && !closeNeeded);
    if (passesByItself(failure, this.database) || works) return;
    for (const client of this.waiters.toArray()) client.fail(failure);
  }

  // --- Time ---------------------------------------------------------------------------------------------------

  /** Does what is due, and returns the time in ms at which more will be. */
  advance(now: number): number {
    let next = this.deadlines.advance(now);
    this.keepWarm();
    if (this.waiters.length === 0) return next;
    this.supply();
    if (this.launching.retryAt > now) next = Math.min(next, this.launching.retryAt);
    const reserveDue = (this.waitingSince ?? 0) + this.context.settings.reservePoolTimeoutMs;
    return this.limits.reserveSize > 0 && reserveDue > now ? Math.min(next, reserveDue) : next;
  }

  get lastFailure(): ErrorFields | null {
    return this.launching.lastFailure;
  }

  /** What its server connections report when they are new; null: there was none yet. */
  get plainParameters(): ParameterSet | null {
    return this.greetings.defaults;
  }

  get isNew(): boolean {
    return this.greetings.defaults === null;
  }

  /** Server connections that count against its size, also those for other startup parameters. */
  get size(): number {
    return this.share.pair.open;
  }

  get waitingSince(): number | null {
    return this.waiters.first?.waitingSince ?? null;
  }

  get idlest(): ServerConnection | undefined {
    return this.resting.idlest;
  }

  // --- Lifecycle ----------------------------------------------------------------------------------------------

  /** New limits; connections to another address or database are replaced as their links end. */
  applyLimits(limits: PoolLimits): void {
    const moved = leadElsewhere(this.limits, limits);
    this.limits = limits;
    for (const client of this.clients) client.follow(limits);
    this.followSettings();
    if (!moved) return;
    this.greetings.forget();
    this.cleaning.fresh.forget();
    this.servers.replace(CONFIGURATION_CHANGED);
  }

  /** The database is written there now; `hasMoved`: and not where it was. Empty: nowhere, as far as is known. */
  follow(addresses: readonly ServerAddress[], hasMoved: boolean): void {
    this.limits = { ...this.limits, addresses };
    // What was the primary may still take writes, and lose them.
    if (hasMoved) this.servers.close(PRIMARY_CHANGED);
    if (hasMoved) this.greetings.forget();
    this.resume();
  }

  /** No server of the database lets its user in. */
  refuse(refusal: ErrorFields): void {
    this.tellWaiters(refusal);
  }

  private followSettings(): void {
    const { settings } = this.context;
    const isAlwaysTested = settings.serverCheckQuery !== null && settings.serverCheckDelayMs === 0;
    this.worksBetweenLinks = isAlwaysTested || settings.serverResetQueryAlways;
    this.resting.isRoundRobin = settings.serverRoundRobin;
    this.capacity.applyLimits(this);
  }

  get serverCount(): number {
    return this.servers.size;
  }

  /** Goes on after its database was paused, or when a host name is known. */
  resume(): void {
    this.dispatch();
    this.supply();
    this.keepWarm();
  }
}
