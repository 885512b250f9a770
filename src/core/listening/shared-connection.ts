/**
 * The server connection over which the gateway listens for all clients of a database. It belongs to no pool, so that a pool
 * of size 1 can listen and work; under the limits of its database and its user it counts.
 *
 * It runs one query of its own at a time: what has become necessary meanwhile makes up the next one.
 */
import type { ErrorFields } from '../../wire/error-fields.js';
import { buildStartup } from '../../wire/startup.js';
import { CONFIGURATION_CHANGED } from '../close-reasons.js';
import type { GatewayContext } from '../context.js';
import type { Database } from '../databases.js';
import type { Hosts } from '../hosts.js';
import { LISTENING_IDLE_MS } from '../limits.js';
import type { Capacity, CappedPool, Share } from '../pool/capacity.js';
import { Launching, type NewLogin } from '../pool/launching.js';
import { leadElsewhere, type PoolLimits } from '../pool/pool-limits.js';
import type { OwnQuery } from '../server/exchange.js';
import type { ServerConnection } from '../server/server-connection.js';
import type { ServerOwner } from '../server/server-owner.js';
import type { UserSettings } from '../settings.js';
import { listenTo, unlistenTo } from './channel-queries.js';
import { type ListeningPool, type ListeningUser, ListeningUsers } from './listening-users.js';

/** What it asks of the gateway. */
export interface SharedConnectionOwner {
  readonly capacity: Capacity;
  readonly newLogin: NewLogin;
  serverOpened(server: ServerConnection): void;
  serverClosed(server: ServerConnection): void;
}

/** Who hears what comes. */
export interface Hearer {
  notified(bytes: Uint8Array, position: number, total: number): void;
  cameBack(): void;
}

/** A query that is under way. */
interface Round {
  readonly adding: readonly string[];
  readonly removing: readonly string[];
  readonly done: readonly (() => void)[];
}

/** Its name among the server's sessions. */
export const SHARED_NAME = 'sluice: listening';

const NEVER = Number.POSITIVE_INFINITY;
const OVER = 'nobody listens any more';
const LATE = 'server does not answer';

export class SharedConnection implements ServerOwner<ServerConnection>, CappedPool {
  readonly database: Database;
  /** As whom it may log in. */
  readonly users: ListeningUsers;
  share: Share;
  hearer: Hearer | null = null;
  /** Null: there is none, also while one is wanted. */
  server: ServerConnection | null = null;
  private readonly context: GatewayContext;
  private readonly owner: SharedConnectionOwner;
  private readonly hosts: Hosts;
  private readonly wanted = new Set<string>();
  /** What the server has said that it listens to. */
  private readonly listening = new Set<string>();
  private asked: (() => void)[] = [];
  private round: Round | null = null;
  /** It counts under the limits. */
  private hasRoom = false;
  /** Something may have been missed since it listened to everything. */
  private wasLost = false;
  /** No other one is opened before, in ms. */
  private retryAt = 0;
  /** Since when nothing has been wanted, in ms. */
  private idleSince = 0;

  constructor(
    context: GatewayContext,
    owner: SharedConnectionOwner,
    hosts: Hosts,
    database: Database,
    first: ListeningPool,
  ) {
    this.context = context;
    this.owner = owner;
    this.hosts = hosts;
    this.database = database;
    this.users = new ListeningUsers(context, first, () => {
      return new Launching(context, this, hosts, (connection, user) => owner.newLogin(connection, user));
    });
    this.share = owner.capacity.listenerShare(database.name, this.userName);
    owner.capacity.applyLimits(this);
  }

  get identity(): { readonly user: UserSettings } {
    return this.users.current.identity;
  }

  get limits(): PoolLimits {
    return this.users.current.limits;
  }

  private get launching(): Launching {
    return this.users.current.launching;
  }

  get name(): string {
    return `${this.database.name}/${this.userName}`;
  }

  get userName(): string {
    return this.identity.user.name;
  }

  /** Nothing is lost when it is forgotten. */
  get isUnused(): boolean {
    return this.server === null && this.wanted.size === 0;
  }

  // --- What is wanted -----------------------------------------------------------------------------------------

  isListening(channel: string): boolean {
    return this.listening.has(channel);
  }

  want(channel: string): void {
    this.wanted.add(channel);
  }

  forgo(channel: string): void {
    this.wanted.delete(channel);
    if (this.wanted.size === 0) {
      this.idleSince = this.context.io.now();
      this.wasLost = false;
      if (this.server === null) this.leaveRoom();
    }
    this.proceed();
  }

  /**
   * Calls back when the server has been told of everything that is wanted by now, and has answered: what others have
   * committed before has been heard by then. At once if there is no server and none can be had soon.
   */
  roundTrip(done: () => void): void {
    this.asked.push(done);
    this.proceed();
  }

  private proceed(): void {
    if (this.server === null && this.wanted.size > 0) this.open();
    if (this.server === null) this.giveUp();
    else if (this.server.phase === 'ready' && this.round === null) this.begin(this.server);
  }

  private begin(server: ServerConnection): void {
    const adding = [...this.wanted].filter((name) => !this.listening.has(name));
    const removing = [...this.listening].filter((name) => !this.wanted.has(name));
    if (adding.length + removing.length + this.asked.length === 0) return;
    this.round = { adding, removing, done: this.asked };
    this.asked = [];
    for (const name of removing) this.listening.delete(name);
    server.runOwnQuery([...removing.map(unlistenTo), ...adding.map(listenTo)].join('; '));
  }

  ownQueryDone(server: ServerConnection, { error }: OwnQuery): void {
    const round = this.round as Round;
    this.round = null;
    if (error === null) {
      for (const name of round.adding) this.listening.add(name);
      if (this.wasLost) this.restored();
    } else {
      this.context.io.report({
        level: 'warn',
        message: `the shared connection can not listen: ${error.message}`,
        facts: { pool: this.name, sqlstate: error.code },
      });
      // What was wanted now is not listened to, and whoever wants it does without; what was listened to before may be lost.
      if (this.wasLost || round.removing.length > 0) server.close(error.message);
    }
    for (const done of round.done) done();
    if (error === null) this.proceed();
  }

  private restored(): void {
    this.wasLost = false;
    this.hearer?.cameBack();
  }

  /** Those who wait are told that nothing will come. */
  private giveUp(): void {
    const { asked, round } = this;
    this.asked = [];
    this.round = null;
    for (const done of [...(round?.done ?? []), ...asked]) done();
  }

  // --- The server connection ----------------------------------------------------------------------------------

  private open(): void {
    const { stopping } = this.context;
    const { successor } = this.users;
    if (successor !== null) this.become(successor);
    if (stopping || this.database.paused || this.context.io.now() < this.retryAt || !this.takeRoom()) return;
    const target = this.launching.nextTarget();
    if (target === null) return;
    const server = this.launching.begin(target);
    this.server = server;
    this.owner.serverOpened(server);
  }

  /** The next login is another user's, whose limits and settings count then. */
  private become(user: ListeningUser): void {
    const { capacity } = this.owner;
    this.leaveRoom();
    capacity.withdraw(this);
    this.users.become(user);
    this.share = capacity.listenerShare(this.database.name, this.userName);
    capacity.applyLimits(this);
  }

  /** True: another user is tried at once. */
  private triesOtherUser(failure: ErrorFields): boolean {
    const user = this.users.afterFailure(failure);
    if (user === null) return false;
    const before = this.userName;
    this.become(user);
    this.context.io.report({
      level: 'warn',
      message: `the shared connection can not log in as "${before}", and tries "${this.userName}": ${failure.message}`,
      facts: { database: this.database.name, sqlstate: failure.code },
    });
    return true;
  }

  /** Never the last that is left under a limit: those who listen want to work, too. */
  private takeRoom(): boolean {
    if (this.hasRoom) return true;
    const [, ...common] = this.share.all;
    for (const account of common) {
      const listeners = [...account.pools].filter((pool) => pool instanceof SharedConnection && pool.hasRoom);
      if (listeners.length + 1 >= account.limit) return false;
    }
    if (!this.owner.capacity.admits(this, { mayEvict: true, mayUseReserve: false })) return false;
    this.owner.capacity.opened(this);
    this.hasRoom = true;
    return true;
  }

  private leaveRoom(): void {
    if (!this.hasRoom) return;
    this.hasRoom = false;
    this.owner.capacity.closed(this);
  }

  startupPacket(server: ServerConnection): Buffer {
    const parameters = new Map([
      ...this.limits.startupParameters,
      ['user', this.userName],
      ['database', this.limits.serverDatabase],
      ['client_encoding', 'UTF8'],
      ['application_name', SHARED_NAME],
    ]);
    return buildStartup(parameters, this.launching.minorOf(server));
  }

  serverReady(server: ServerConnection): void {
    this.launching.succeeded(server);
    this.users.admitted();
    this.proceed();
  }

  openingFailure(error: ErrorFields): string {
    return error.message;
  }

  serverGone(server: ServerConnection, error: ErrorFields | null): void {
    if (this.server !== server) return;
    this.server = null;
    this.hosts.use(server.address, -1);
    this.owner.serverClosed(server);
    if (this.listening.size > 0) this.wasLost = true;
    this.listening.clear();
    // One that is lost again and again needs no more attempts than one that can't be had.
    if (server.wasReady) this.retryAt = server.readyAt + this.context.settings.serverLoginRetryMs;
    const failure = server.wasReady ? null : this.launching.failed(server, error);
    if (this.wanted.size === 0) this.leaveRoom();
    const mayOpen = failure === null || this.triesOtherUser(failure);
    if (mayOpen && this.wanted.size > 0) this.open();
    // It can't be told any more what was committed before; whoever wants to listen needn't wait for another try.
    const { round } = this;
    this.round = null;
    for (const done of round?.done ?? []) done();
    if (this.server === null) this.giveUp();
  }

  notified(bytes: Uint8Array, position: number, total: number): void {
    this.hearer?.notified(bytes, position, total);
  }

  linkIdle(): void {}
  finishedAlone(): void {}
  cancelEnded(): void {}

  // --- Capacity -----------------------------------------------------------------------------------------------

  readonly waitingSince = null;
  readonly idlest = undefined;

  /** There may be room now. */
  supply(): void {
    if (this.server === null && this.wanted.size > 0) this.open();
  }

  // --- Time, and what operators do ----------------------------------------------------------------------------

  /** Does what is due, and returns the time in ms at which more will be. */
  advance(now: number): number {
    const { server } = this;
    if (server === null) {
      if (this.wanted.size === 0) return NEVER;
      this.supply();
      const retryAt = Math.max(this.retryAt, this.launching.retryAt);
      return retryAt > now ? retryAt : NEVER;
    }
    const late = this.checkAnswers(server, now);
    if (late !== null) return late;
    if (this.wanted.size > 0) return NEVER;
    const due = this.idleSince + LISTENING_IDLE_MS;
    if (now < due) return due;
    server.close(OVER);
    return NEVER;
  }

  /** Logins and queries of ours take no longer than connecting may. */
  private checkAnswers(server: ServerConnection, now: number): number | null {
    const { serverConnectTimeoutMs } = this.context.settings;
    const isOpening = server.phase !== 'ready';
    if (serverConnectTimeoutMs === 0 || (!isOpening && this.round === null)) return null;
    const due = (isOpening ? server.createdAt : server.place.ownWorkAt) + serverConnectTimeoutMs;
    if (now < due) return due;
    if (isOpening) server.abandon(`server login took longer than server_connect_timeout`);
    else server.close(LATE);
    return now;
  }

  /** Closes the connection; if it is still wanted and the database is not paused, another one is opened. */
  replace(reason: string): void {
    this.server?.close(reason);
    this.retryAt = 0;
    // One that was not open yet counts as failed.
    this.launching.retryAt = 0;
    this.supply();
  }

  resume(): void {
    this.supply();
  }

  applySettings(): void {
    const before = this.limits;
    this.users.applySettings();
    this.owner.capacity.applyLimits(this);
    if (leadElsewhere(before, this.limits)) this.replace(CONFIGURATION_CHANGED);
  }
}
