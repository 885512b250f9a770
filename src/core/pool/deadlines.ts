/** What is due in a pool at a time: clients and server connections that have waited, run or rested for long enough. */
import type { ErrorFields } from '../../wire/error-fields.js';
import { CRASHED, IDLE_TIMEOUT, LIFETIME_OVER, QUERY_IN_PROGRESS, TOO_MANY } from '../close-reasons.js';
import type { GatewayContext } from '../context.js';
import { LAST_ANSWERS_MS_MAX } from '../limits.js';
import type { LinkedClient } from '../link.js';
import type { ServerConnection } from '../server/server-connection.js';
import type { Session } from '../session/session.js';
import type { UserSettings } from '../settings.js';
import { IdleClients } from './idle-clients.js';
import type { PoolLimits } from './pool-limits.js';
import {
  CONFIGURATION_CHANGED,
  IDLE_TRANSACTION,
  LAST_ANSWERS_LATE,
  LOGIN_WITHOUT_SERVER,
  noPrimary,
  QUERY_TIMEOUT,
  QUERY_TIMEOUT_WAITING,
  TRANSACTION_TIMEOUT,
  WAIT_NOTICE,
  waitedTooLong,
} from './pool-messages.js';
import type { RestingServers } from './resting-servers.js';
import type { WaiterQueue } from './waiter-queue.js';

/** The pool, as this sees it. */
export interface TimedPool {
  readonly name: string;
  readonly limits: PoolLimits;
  readonly identity: { readonly user: UserSettings };
  readonly database: { readonly heldSince: number | null };
  readonly servers: ReadonlySet<ServerConnection>;
  readonly clients: ReadonlySet<Session>;
  readonly waiters: WaiterQueue<Session>;
  readonly resting: RestingServers;
  readonly lastFailure: ErrorFields | null;
  /** No server connection has ever been there. */
  readonly isNew: boolean;
  /** How many server connections count against the pool's size. */
  readonly size: number;
}

const NEVER = Number.POSITIVE_INFINITY;

export class Deadlines {
  private readonly context: GatewayContext;
  private readonly pool: TimedPool;
  /** When the last server connection was closed for its age, in ms. */
  private agedAt = Number.NEGATIVE_INFINITY;
  private readonly idleClients: IdleClients;
  /** Who has waited since this time or longer, in ms, has been told. */
  private notifiedUpTo = Number.NEGATIVE_INFINITY;

  constructor(context: GatewayContext, pool: TimedPool) {
    this.context = context;
    this.pool = pool;
    this.idleClients = new IdleClients(context, pool);
  }

  /** Does what is due, and returns the time in ms at which more will be. */
  advance(now: number): number {
    let next = Math.min(this.checkWaiters(now), this.notifyWaiters(now), this.idleClients.check(now));
    next = Math.min(next, this.distrustResting(now));
    for (const server of [...this.pool.servers]) next = Math.min(next, this.checkServer(server, now));
    return next;
  }

  /** The oldest waiter has waited for so long that the reserve is open (`reserve_pool_timeout`). */
  get isReserveOpen(): boolean {
    const { reservePoolTimeoutMs } = this.context.settings;
    const oldest = this.pool.waiters.first;
    if (oldest === null || this.pool.limits.reserveSize === 0 || reservePoolTimeoutMs === 0) return false;
    return this.context.io.now() >= oldest.waitingSince + reservePoolTimeoutMs;
  }

  // --- Clients ------------------------------------------------------------------------------------------------

  private checkWaiters(now: number): number {
    if (this.pool.isNew) this.checkNewcomers(now);
    return Math.min(this.checkPrimary(now), this.checkLongest(now));
  }

  /** There is nobody to be written to: who waits for that longer than `failover_timeout` is told, and may try again. */
  private checkPrimary(now: number): number {
    const { limits, database } = this.pool;
    const { failoverTimeoutMs } = this.context.settings;
    if (limits.addresses.length > 0 || failoverTimeoutMs === 0) return NEVER;
    for (;;) {
      const oldest = this.pool.waiters.first;
      if (oldest === null) return NEVER;
      const due = Math.max(oldest.waitingSince, database.heldSince ?? 0) + failoverTimeoutMs;
      if (now < due) return due;
      this.context.counters.failoverTimeouts += 1;
      this.pool.waiters.remove(oldest);
      oldest.refuse(noPrimary(failoverTimeoutMs));
    }
  }

  private checkLongest(now: number): number {
    const { waitTimeoutMs, queryTimeoutMs } = this.pool.limits;
    const limitMs = Math.min(waitTimeoutMs || NEVER, queryTimeoutMs || NEVER);
    if (limitMs === NEVER) return NEVER;
    for (;;) {
      const oldest = this.pool.waiters.first;
      if (oldest === null) return NEVER;
      const due = oldest.waitingSince + limitMs;
      if (now < due) return due;
      this.context.counters.queryWaitTimeouts += 1;
      oldest.fail(limitMs === queryTimeoutMs ? QUERY_TIMEOUT_WAITING : waitedTooLong(this.pool));
    }
  }

  /** There has been no server yet that would let them in. */
  private checkNewcomers(now: number): void {
    const { clientLoginTimeoutMs } = this.context.settings;
    if (clientLoginTimeoutMs === 0) return;
    for (const client of this.pool.waiters.toArray()) {
      const isLate = client.phase === 'welcoming' && now >= client.createdAt + clientLoginTimeoutMs;
      if (isLate) client.fail(LOGIN_WITHOUT_SERVER);
    }
  }

  /** Tells those that wait for long that they do, once each (`query_wait_notify`). */
  private notifyWaiters(now: number): number {
    const { queryWaitNotifyMs } = this.context.settings;
    if (queryWaitNotifyMs === 0) return NEVER;
    let latest = this.notifiedUpTo;
    let next = NEVER;
    for (let client = this.pool.waiters.first; client !== null; client = client.nextWaiter) {
      next = client.waitingSince + queryWaitNotifyMs;
      if (now < next) break;
      next = NEVER;
      if (client.waitingSince <= this.notifiedUpTo) continue;
      latest = client.waitingSince;
      if (client.phase === 'ready') client.send(WAIT_NOTICE);
    }
    this.notifiedUpTo = latest;
    return next;
  }

  // --- Server connections -------------------------------------------------------------------------------------

  private distrustResting(now: number): number {
    const { serverCheckQuery, serverCheckDelayMs } = this.context.settings;
    if (serverCheckQuery === null) return NEVER;
    return this.pool.resting.distrust(now, serverCheckDelayMs);
  }

  private checkServer(server: ServerConnection, now: number): number {
    if (server.phase === 'connecting' || server.phase === 'login') return this.checkLogin(server, now);
    const what = server.exchange.firstDetail?.what;
    if (what === 'own' || what === 'probe') return this.checkOwnWork(server, now);
    if (server.link !== null) return this.checkActive(server, now);
    if (server.finishing) return this.checkFinishing(server, now);
    return server.place.isResting ? this.checkResting(server, now) : NEVER;
  }

  private checkLogin(server: ServerConnection, now: number): number {
    const { serverConnectTimeoutMs } = this.context.settings;
    if (serverConnectTimeoutMs === 0) return NEVER;
    const due = server.createdAt + serverConnectTimeoutMs;
    if (now < due) return due;
    server.abandon(`server login took longer than server_connect_timeout (${serverConnectTimeoutMs} ms)`);
    return now;
  }

  /** A query of ours takes no longer than connecting may. */
  private checkOwnWork(server: ServerConnection, now: number): number {
    const { serverConnectTimeoutMs } = this.context.settings;
    if (serverConnectTimeoutMs === 0) return NEVER;
    const due = server.place.ownWorkAt + serverConnectTimeoutMs;
    if (now < due) return due;
    server.close(CRASHED);
    return now;
  }

  /** Its client has gone, and what ran for it has been cancelled. */
  private checkFinishing(server: ServerConnection, now: number): number {
    const { cancelWaitTimeoutMs } = this.context.settings;
    if (cancelWaitTimeoutMs === 0) return NEVER;
    const due = server.place.abandonedAt + cancelWaitTimeoutMs;
    if (now < due) return due;
    server.close(QUERY_IN_PROGRESS);
    return now;
  }

  /** What its client may take, counted as PgBouncer does: from the request, the last answer, the transaction's begin. */
  private checkActive(server: ServerConnection, now: number): number {
    const { limits } = this.pool;
    const { timing } = server;
    const client = server.link as LinkedClient;
    if (this.context.settings.serverFastClose && server.closeNeeded && server.isClean) {
      client.fail(CONFIGURATION_CHANGED);
      return now;
    }
    const isAsked = server.outstandingRequests > 0;
    const rests = timing.inTransaction && !isAsked && !server.exchange.batchOpen;
    let next = NEVER;
    const check = (since: number, timeoutMs: number, applies: boolean, error: ErrorFields): void => {
      if (!applies || timeoutMs === 0 || client.phase === 'closed') return;
      if (now >= since + timeoutMs) client.fail(error);
      else next = Math.min(next, since + timeoutMs);
    };
    check(timing.askedSince, limits.queryTimeoutMs, isAsked, QUERY_TIMEOUT);
    const lastAnswerAt = Math.max(client.inputEndedAt, timing.askedSince, server.lastAnswerAt);
    const isLastAsked = client.inputEnded && isAsked && !server.readingPaused;
    check(lastAnswerAt, LAST_ANSWERS_MS_MAX, isLastAsked, LAST_ANSWERS_LATE);
    check(timing.requestedAt, limits.idleTransactionTimeoutMs, rests, IDLE_TRANSACTION);
    check(timing.transactionAt, limits.transactionTimeoutMs, timing.inTransaction, TRANSACTION_TIMEOUT);
    return next;
  }

  private checkResting(server: ServerConnection, now: number): number {
    const { serverIdleTimeoutMs } = this.context.settings;
    const { minSize, serverLifetimeMs, size, reserveSize } = this.pool.limits;
    if (this.pool.size > size + reserveSize) {
      server.close(TOO_MANY);
      return now;
    }
    const mayShrink = serverIdleTimeoutMs > 0 && this.pool.size > minSize;
    const idleDue = mayShrink ? server.place.idleSince + serverIdleTimeoutMs : NEVER;
    if (now > idleDue) {
      server.close(IDLE_TIMEOUT);
      return now;
    }
    const lifeDue = serverLifetimeMs > 0 ? this.lifeEndsAt(server) : NEVER;
    if (now <= lifeDue) return Math.min(idleDue, lifeDue) + 1;
    this.closeAged(server);
    return now;
  }

  /** A server connection has reached `server_lifetime`, and it is its turn to be replaced. */
  isTooOld(server: ServerConnection, now: number): boolean {
    return this.pool.limits.serverLifetimeMs > 0 && now > this.lifeEndsAt(server);
  }

  closeAged(server: ServerConnection): void {
    this.agedAt = this.context.io.now();
    server.close(LIFETIME_OVER);
  }

  /** Those of one age end one after the other, so that they aren't all opened anew at once (as in PgBouncer). */
  private lifeEndsAt(server: ServerConnection): number {
    const { serverLifetimeMs, size } = this.pool.limits;
    return Math.max(server.readyAt + serverLifetimeMs, this.agedAt + serverLifetimeMs / size);
  }
}
