/** The pools of one gateway: made when somebody needs them, forgotten when they are empty. */
import { CONFIGURATION_CHANGED } from './close-reasons.js';
import type { GatewayContext } from './context.js';
import type { Database, Databases } from './databases.js';
import { Hosts, type HostsOwner } from './hosts.js';
import { POOLS_MAX } from './limits.js';
import { Listening } from './listening/listening.js';
import { Pool, type PoolIdentity, type PoolOwner } from './pool/pool.js';
import { type PoolLimits, poolLimits } from './pool/pool-limits.js';
import { ReplicationPool } from './pool/replication-pool.js';
import { resetValues } from './pool/reset-values.js';
import type { Cluster } from './route/cluster.js';
import { Clusters } from './route/clusters.js';
import { DatabaseShapes } from './route/database-shapes.js';
import { userAfterReload } from './server/server-user.js';
import type { Session } from './session/session.js';
import type { DatabaseSettings, GatewaySettings } from './settings.js';

export class Pools implements HostsOwner {
  readonly byKey = new Map<string, Pool>();
  private readonly context: GatewayContext;
  private readonly owner: PoolOwner;
  private readonly databases: Databases;
  readonly hosts: Hosts;
  readonly listening: Listening;
  readonly shapes: DatabaseShapes;
  readonly clusters: Clusters;

  constructor(context: GatewayContext, owner: PoolOwner, databases: Databases) {
    this.context = context;
    this.owner = owner;
    this.databases = databases;
    this.hosts = new Hosts(context, this);
    this.listening = new Listening(context, owner, this.hosts);
    this.shapes = new DatabaseShapes(context);
    this.clusters = new Clusters(context, owner, this.hosts, (cluster) => this.primaryChanged(cluster));
  }

  hostMoved(name: string, vanished: ReadonlySet<string>): void {
    for (const pool of this.byKey.values()) pool.servers.leave(name, vanished);
    this.listening.leave(name, vanished);
    this.clusters.leave(name, vanished);
  }

  hostFound(): void {
    for (const pool of this.byKey.values()) pool.resume();
    this.listening.resume();
    this.clusters.resume();
  }

  /** Another node of a database is the primary, or none is known: who waits for a server connection of it tries again. */
  private primaryChanged(cluster: Cluster): void {
    for (const pool of this.byKey.values()) {
      if (this.clusters.find(pool.database) === cluster) pool.resume();
    }
  }

  /**
   * The pool of this identity, made if need be; null: there are too many. A replication client has one of its own, whose
   * only server connection lasts as long as the client.
   */
  open(database: DatabaseSettings, identity: PoolIdentity, client?: Session): Pool | null {
    const sorted = [...identity.startupParameters].sort(([a], [b]) => (a < b ? -1 : 1));
    const replicates = client !== undefined && client.replication !== 'none';
    const owner = replicates ? client.id : 0;
    const key = JSON.stringify([identity.database.name, identity.user.name, sorted, owner]);
    const known = this.byKey.get(key);
    if (known !== undefined) {
      known.identity.user = identity.user;
      this.clusters.join(database, known);
      return known;
    }
    if (this.byKey.size >= POOLS_MAX) return null;
    const limits = limitsOf(this.context.settings, database, identity);
    const pool = new (replicates ? ReplicationPool : Pool)(
      this.context,
      this.owner,
      this.hosts,
      identity,
      limits,
    );
    this.byKey.set(key, pool);
    this.clusters.join(database, pool);
    return pool;
  }

  /**
   * The pool of a client that asked for these reported parameters; null: there are too many. In pool_mode session those that
   * RESET must go back to belong to the pool's identity.
   */
  openFor(
    client: Session,
    database: DatabaseSettings,
    identity: PoolIdentity,
    reported: ReadonlyMap<string, string>,
  ): Pool | null {
    const pool = this.open(database, identity, client);
    if (pool === null || pool.sharesServers) return pool;
    const kept = resetValues(reported, pool.plainParameters);
    if (kept.size === 0) return pool;
    const startupParameters = new Map([...identity.startupParameters, ...kept]);
    return this.open(database, { ...identity, startupParameters }, client);
  }

  /** Pools with a forced user and a `min_pool_size` are filled before any client comes. */
  openWarm(): void {
    const { databases, minPoolSize } = this.context.settings;
    for (const database of databases.values()) {
      const { name, forcedUser: user } = database;
      const isWarm = (database.minPoolSize ?? minPoolSize) > 0;
      if (user === null || name === '*' || !isWarm) continue;
      const startupParameters = new Map<string, string>();
      this.open(database, { database: this.databases.use(name, false), user, startupParameters });
    }
  }

  /** Brings the pools in line with the context's settings. */
  applySettings(hasOtherTls: boolean): void {
    const { settings, localSockets } = this.context;
    localSockets.forget();
    for (const pool of this.byKey.values()) {
      const { name } = pool.database;
      const database = settings.databases.get(name) ?? settings.databases.get('*');
      if (database !== undefined) {
        pool.applyLimits(limitsOf(settings, database, pool.identity));
        pool.identity.user = userAfterReload(pool.identity.user, database, settings);
      }
      if (hasOtherTls) pool.servers.replace(CONFIGURATION_CHANGED);
    }
    this.listening.applySettings(hasOtherTls);
    this.clusters.applySettings(hasOtherTls);
    this.openWarm();
  }

  /** Does what is due, and returns the time in ms at which more will be. */
  advance(now: number): number {
    let next = Math.min(this.hosts.advance(now), this.listening.advance(now), this.shapes.advance(now));
    for (const [key, pool] of this.byKey) {
      next = Math.min(next, pool.advance(now));
      if (!pool.isUnused) continue;
      this.byKey.delete(key);
      this.owner.capacity.withdraw(pool);
    }
    this.forgetUnused(now);
    return next;
  }

  private forgetUnused(now: number): void {
    if (this.shapes.isEmpty && this.clusters.isEmpty && !this.databases.hasAuto) return;
    const inUse = new Set([...this.byKey.values()].map((pool) => pool.database));
    this.shapes.keep((database) => inUse.has(database));
    this.clusters.keep(inUse);
    this.forgetAutoDatabases(inUse, now);
  }

  /** Databases made from `*` that nobody has used for long (`autodb_idle_timeout`). */
  private forgetAutoDatabases(inUse: ReadonlySet<Database>, now: number): void {
    const { autodbIdleTimeoutMs } = this.context.settings;
    if (!this.databases.hasAuto || autodbIdleTimeoutMs === 0) return;
    for (const name of this.databases.forgetUnused(inUse, now, autodbIdleTimeoutMs)) {
      this.context.io.report({
        level: 'warn',
        message: `dropping database '${name}' as it does not exist anymore or inactive auto-database`,
      });
    }
  }
}

function limitsOf(
  settings: GatewaySettings,
  database: DatabaseSettings,
  { database: { name }, user }: PoolIdentity,
): PoolLimits {
  return poolLimits(settings, database, { name, user });
}
