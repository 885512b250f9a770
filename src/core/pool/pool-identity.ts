import type { Database } from '../databases.js';
import type { RouteNode } from '../route/route-node.js';
import type { UserSettings } from '../settings.js';

/** What distinguishes a pool. */
export interface PoolIdentity {
  readonly database: Database;
  /** The user that logs in to the server, as it is known by now: the name stays, the secret may change. */
  user: UserSettings;
  /** Startup parameters that every server connection of the pool is opened with. */
  readonly startupParameters: ReadonlyMap<string, string>;
  /** The standby that all its server connections lead to; missing: they lead to where the database is written. */
  readonly node?: RouteNode;
}
