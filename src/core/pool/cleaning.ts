/**
 * The queries of our own on server connections without a client: whether a new one leads to the primary, `connect_query` on it, `server_check_query` on
 * one that has rested for long, ROLLBACK and the reset query behind a client. One whose state is in doubt is closed. In
 * session mode so is one that has become another than it was when it was new, unless `session_state` is `classic`.
 */
import type { ErrorFields } from '../../wire/error-fields.js';
import { NOT_AS_NEW, NOT_READY, RESET_FAILED, TEST_FAILED } from '../close-reasons.js';
import type { GatewayContext } from '../context.js';
import { IN_RECOVERY } from '../parameters.js';
import type { OwnQuery } from '../server/exchange.js';
import type { OwnWork } from '../server/pool-place.js';
import type { ServerConnection } from '../server/server-connection.js';
import { IS_STANDBY } from './login-failure.js';
import type { PoolLimits } from './pool-limits.js';
import { FreshAnswer, REMAINS_QUESTION } from './remains.js';

/** The pool, as this sees it. */
export interface CleanedPool {
  readonly name: string;
  readonly limits: PoolLimits;
  /** Whether links end with transactions. */
  readonly sharesServers: boolean;
  /** The server connection is fit for a client, as a query of ours has shown. */
  available(server: ServerConnection): void;
  /** It is clean, but nothing was asked of it since its client had it. */
  used(server: ServerConnection): void;
  /** Everything has been done with a new one that comes before its first client. */
  opened(server: ServerConnection): void;
}

const DISCARD_ALL = 'DISCARD ALL';
const RECOVERY_QUESTION = 'SELECT pg_catalog.pg_is_in_recovery()';
/** The DataRow that answers it on a primary: one column of one byte. */
const NOT_IN_RECOVERY = '\x00\x01\x00\x00\x00\x01f';

export class Cleaning {
  /** Server connections that are being tested: whoever waits may get one of them. */
  testing = 0;
  readonly fresh = new FreshAnswer();
  private readonly context: GatewayContext;
  private readonly pool: CleanedPool;

  constructor(context: GatewayContext, pool: CleanedPool) {
    this.context = context;
    this.pool = pool;
  }

  /** Prepares a server connection that has just been logged in for its first client. */
  begin(server: ServerConnection): void {
    // Servers say by themselves whether they are standbys since PostgreSQL 14. What is none can't become one without a restart.
    const isSilent = this.pool.limits.wantsPrimary && !server.parameters.values.has(IN_RECOVERY);
    if (isSilent) this.run(server, 'recovery question', RECOVERY_QUESTION);
    else this.connect(server);
  }

  private connect(server: ServerConnection): void {
    const { connectQuery } = this.pool.limits;
    if (connectQuery === null) this.learn(server);
    else this.run(server, 'connect', connectQuery);
  }

  /** Notes what it is like when it is new. */
  private learn(server: ServerConnection): void {
    server.place.fresh = this.fresh.expected;
    if (!this.asksForRemains || server.place.fresh !== null) this.pool.opened(server);
    else this.run(server, 'first question', REMAINS_QUESTION);
  }

  /** A client is to meet a server process that is as good as new. */
  private get asksForRemains(): boolean {
    const { mode, sessionState } = this.pool.limits;
    return mode === 'session' && sessionState !== 'classic' && !this.fresh.isRefused;
  }

  /** Makes sure that one which has rested for long still works. */
  test(server: ServerConnection): void {
    const { serverCheckQuery } = this.context.settings;
    if (serverCheckQuery === null) return this.pool.available(server);
    this.testing += 1;
    this.run(server, 'test', serverCheckQuery);
  }

  /** Makes a server connection whose client has gone fit for another one, or closes it. */
  clean(server: ServerConnection): void {
    const { serverResetQuery, serverResetQueryAlways } = this.context.settings;
    if (server.closeReason !== null) server.close(server.closeReason);
    else if (server.isClean) {
      if (this.pool.sharesServers && !server.needsReset && !serverResetQueryAlways) this.pool.used(server);
      else if (serverResetQuery === '') this.withoutReset(server);
      else this.run(server, 'reset', this.resetQuery(server));
    } else if (server.canRollBack) this.run(server, 'rollback', 'ROLLBACK');
    else server.close(NOT_READY);
  }

  /** A query of ours is over. */
  done(server: ServerConnection, { error, row }: OwnQuery): void {
    const work = server.place.ownWork;
    this.left(server);
    switch (work) {
      case 'recovery question':
        if (error === null && row === NOT_IN_RECOVERY) return this.connect(server);
        server.place.ownWork = work;
        return server.openingFailed(error ?? IS_STANDBY);
      case 'connect':
        // As in PgBouncer, it is no reason not to use the connection.
        if (error !== null) this.reportFailure('connect_query failed', error);
        return this.learn(server);
      case 'first question':
        if (error !== null)
          this.reportFailure('session mode goes without a look at what sessions leave', error);
        this.fresh.learn(error === null ? row : null);
        server.place.fresh = this.fresh.expected;
        return this.pool.opened(server);
    }
    if (error !== null) return server.close(work === 'test' ? TEST_FAILED : RESET_FAILED);
    switch (work) {
      case 'rollback':
        return this.clean(server);
      case 'reset':
        this.wasReset(server);
        if (this.asksForRemains) return this.run(server, 'last question', REMAINS_QUESTION);
        break;
      case 'last question':
        if (!this.fresh.isAsNew(server, row)) return server.close(NOT_AS_NEW);
        break;
    }
    this.pool.available(server);
  }

  /** What a session has left on a shared connection goes whole, though the settings may be content with less. */
  private resetQuery(server: ServerConnection): string {
    const isLeft = this.pool.sharesServers && server.needsReset;
    return isLeft ? DISCARD_ALL : this.context.settings.serverResetQuery;
  }

  private wasReset(server: ServerConnection): void {
    const query = this.resetQuery(server);
    server.needsReset = false;
    // What another reset query has left is still known, and taken back when a client comes.
    if (/^\s*discard\s+all\s*;?\s*$/i.test(query)) {
      server.settings = this.context.parameterSets.empty;
      server.ranOpaque = false;
      server.mayHoldOthersSettings = false;
      server.prepared = this.context.parameterSets.empty;
    }
  }

  /** Whatever ran on it does so no more. */
  left(server: ServerConnection): void {
    if (server.place.ownWork === 'test') this.testing -= 1;
    server.place.ownWork = null;
  }

  /** Somebody has switched server_reset_query off; that doesn't hold for what must not be handed on. */
  private withoutReset(server: ServerConnection): void {
    if (server.needsReset) server.close('server_reset_query is off');
    else this.pool.used(server);
  }

  private run(server: ServerConnection, work: OwnWork, sql: string): void {
    server.place.ownWork = work;
    server.runOwnQuery(sql);
  }

  private reportFailure(what: string, error: ErrorFields): void {
    this.context.io.report({
      level: 'warn',
      message: `${what}: ${error.message}`,
      facts: { pool: this.pool.name, sqlstate: error.code },
    });
  }
}
