/**
 * Links of pool_mode session. A client gets its server connection at its login, so that it can be told the server's process
 * id, as `pg_backend_pid()` says it. Only until it asks for something it must do without where others wait: PgBouncer
 * links clients at their first query, and there are applications that open more connections than they use.
 */
import type { Database } from '../databases.js';
import type { ServerConnection } from '../server/server-connection.js';
import type { Session } from '../session/session.js';
import type { Share } from './capacity.js';
import type { PoolLimits } from './pool-limits.js';

/** The pool, as this sees it. */
export interface LinkingPool {
  readonly database: Database;
  readonly limits: PoolLimits;
  readonly share: Share;
  readonly sharesServers: boolean;
  readonly servers: ReadonlySet<ServerConnection>;
  readonly waiters: { readonly length: number };
  readonly resting: { readonly length: number };
}

/** Whether a new client may get a server connection at once. Where it would have to wait, it need not yet. */
export function mayLinkAtLogin(pool: LinkingPool): boolean {
  if (pool.sharesServers || pool.database.paused || pool.waiters.length > 0) return false;
  return pool.resting.length > 0 || pool.share.pair.open < pool.limits.size;
}

/** Takes the server connection of a client that has asked for nothing since its login; undefined: there is none. */
export function takeUntouched(pool: LinkingPool): ServerConnection | undefined {
  if (pool.sharesServers) return undefined;
  for (const server of pool.servers) if (letGo(server)) return server;
  return undefined;
}

/** Ends the link of a client that has not used it yet; false: it has, or there is none. */
export function letGo(server: ServerConnection): boolean {
  if (!server.isUntouched) return false;
  (server.link as Session).link = null;
  server.unbind();
  return true;
}
