/** What is due in a pool at a time: waiters that have waited long enough, server connections that are too old or too slow. */

import type { ErrorFields } from '../../wire/error-fields.js';
import { SqlState } from '../../wire/sqlstate.js';
import { IDLE_TIMEOUT, LIFETIME_OVER } from '../close-reasons.js';
import type { GatewayContext } from '../context.js';
import type { ServerConnection } from '../server/server-connection.js';
import type { Session } from '../session/session.js';
import type { PoolLimits } from './pool-limits.js';
import type { WaiterQueue } from './waiter-queue.js';

/** The pool, as this sees it. */
export interface TimedPool {
  readonly name: string;
  readonly limits: PoolLimits;
  readonly servers: ReadonlySet<ServerConnection>;
  readonly waiters: WaiterQueue<Session>;
  readonly lastFailure: ErrorFields | null;
}

const NEVER = Number.POSITIVE_INFINITY;

export class Deadlines {
  private readonly context: GatewayContext;
  private readonly pool: TimedPool;

  constructor(context: GatewayContext, pool: TimedPool) {
    this.context = context;
    this.pool = pool;
  }

  /** Does what is due, and returns the time in ms at which more will be. */
  advance(now: number): number {
    let next = this.checkWaiters(now);
    for (const server of [...this.pool.servers]) next = Math.min(next, this.checkServer(server, now));
    return next;
  }

  /** A server connection has reached `server_lifetime`. */
  isTooOld(server: ServerConnection): boolean {
    const lifetime = this.context.settings.serverLifetimeMs;
    return lifetime > 0 && this.context.io.now() - server.readyAt > lifetime;
  }

  private checkWaiters(now: number): number {
    const { queryWaitTimeoutMs } = this.context.settings;
    if (queryWaitTimeoutMs === 0) return NEVER;
    for (;;) {
      const oldest = this.pool.waiters.first;
      if (oldest === null) return NEVER;
      const due = oldest.waitingSince + queryWaitTimeoutMs;
      if (now < due) return due;
      this.context.counters.queryWaitTimeouts += 1;
      oldest.fail(this.waitedTooLong(queryWaitTimeoutMs));
    }
  }

  private checkServer(server: ServerConnection, now: number): number {
    if (server.phase === 'connecting' || server.phase === 'login') return this.checkLogin(server, now);
    const isIdle = server.link === null && server.outstandingRequests === 0 && server.cancelsInFlight === 0;
    return isIdle ? this.checkIdle(server, now) : NEVER;
  }

  private checkLogin(server: ServerConnection, now: number): number {
    const { serverConnectTimeoutMs } = this.context.settings;
    if (serverConnectTimeoutMs === 0) return NEVER;
    const due = server.createdAt + serverConnectTimeoutMs;
    if (now < due) return due;
    server.abandon(`server login took longer than server_connect_timeout (${serverConnectTimeoutMs} ms)`);
    return now;
  }

  private checkIdle(server: ServerConnection, now: number): number {
    const { serverIdleTimeoutMs, serverLifetimeMs } = this.context.settings;
    const idleDue = serverIdleTimeoutMs > 0 ? server.idleSince + serverIdleTimeoutMs : NEVER;
    const lifeDue = serverLifetimeMs > 0 ? server.readyAt + serverLifetimeMs : NEVER;
    const due = Math.min(idleDue, lifeDue);
    if (now <= due) return due + 1;
    server.close(lifeDue < now ? LIFETIME_OVER : IDLE_TIMEOUT);
    return now;
  }

  private waitedTooLong(timeoutMs: number): ErrorFields {
    const { lastFailure, name, limits } = this.pool;
    return {
      severity: 'FATAL',
      code: SqlState.too_many_connections,
      message: `query_wait_timeout: no server connection became free within ${timeoutMs / 1000} s`,
      ...(lastFailure !== null && {
        detail: `The last attempt to connect failed: ${lastFailure.message}`,
      }),
      hint: `Pool ${name} has ${limits.size} server connections (default_pool_size).`,
    };
  }
}
