/**
 * What makes a server connection fit for the next client: ROLLBACK of what is open, then the reset query. One whose
 * state is in doubt is closed.
 */
import { NOT_READY } from '../close-reasons.js';
import type { GatewayContext } from '../context.js';
import type { ServerConnection } from '../server/server-connection.js';

/** The pool, as this sees it. */
export interface CleanedPool {
  /** Whether links end with transactions. */
  readonly sharesServers: boolean;
  /** The server connection is fit for another client. */
  available(server: ServerConnection): void;
}

export class Cleaning {
  private readonly context: GatewayContext;
  private readonly pool: CleanedPool;

  constructor(context: GatewayContext, pool: CleanedPool) {
    this.context = context;
    this.pool = pool;
  }

  /** Makes a server connection whose client has gone fit for another one, or closes it. */
  clean(server: ServerConnection): void {
    if (server.closeReason !== null) server.close(server.closeReason);
    else if (server.isClean) {
      const query = this.context.settings.serverResetQuery;
      if (this.pool.sharesServers && !server.needsReset) this.pool.available(server);
      else if (query === '') this.withoutReset(server);
      else this.run(server, 'reset', query);
    } else if (server.canRollBack) this.run(server, 'rollback', 'ROLLBACK');
    else server.close(NOT_READY);
  }

  /** A query of ours on a server connection without a client has succeeded. */
  done(server: ServerConnection): void {
    const step = server.cleaning;
    server.cleaning = null;
    if (step === 'reset') server.needsReset = false;
    if (step === 'rollback') this.clean(server);
    else this.pool.available(server);
  }

  /** Somebody has switched server_reset_query off; that doesn't hold for what must not be handed on. */
  private withoutReset(server: ServerConnection): void {
    if (server.needsReset) server.close('server_reset_query is off');
    else this.pool.available(server);
  }

  private run(server: ServerConnection, step: 'rollback' | 'reset', sql: string): void {
    server.cleaning = step;
    server.runOwnQuery(sql);
  }
}
