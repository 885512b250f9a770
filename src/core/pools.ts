/** The pools of one gateway: made when somebody needs them, forgotten when they are empty. */
import type { ErrorFields } from '../wire/error-fields.js';
import { CONFIGURATION_CHANGED, NODE_SILENT, PRIMARY_CHANGED, PRIMARY_HANDS_OVER } from './close-reasons.js';
import type { GatewayContext } from './context.js';
import type { Database, Databases } from './databases.js';
import { Hosts, type HostsOwner } from './hosts.js';
import type { ServerAddress } from './io.js';
import { POOLS_MAX } from './limits.js';
import { Listening } from './listening/listening.js';
import { Pool } from './pool/pool.js';
import type { PoolIdentity } from './pool/pool-identity.js';
import { type PoolLimits, poolLimits, towardsStandby, towardsTarget } from './pool/pool-limits.js';
import type { PoolOwner } from './pool/pool-owner.js';
import { ReplicationPool } from './pool/replication-pool.js';
import { resetValues } from './pool/reset-values.js';
import { StandbyPool } from './pool/standby-pool.js';
import type { Cluster, ClusterFollower } from './route/cluster.js';
import { Clusters } from './route/clusters.js';
import { DatabaseShapes } from './route/database-shapes.js';
import { noteHold, recordCut } from './route/holds.js';
import type { RouteNode } from './route/route-node.js';
import { userAfterReload } from './server/server-user.js';
import type { Routes } from './session/routed-client.js';
import type { Session } from './session/session.js';
import type { DatabaseSettings, GatewaySettings, TargetNodes } from './settings.js';

export class Pools implements HostsOwner, ClusterFollower {
  readonly byKey = new Map<string, Pool>();
  private readonly context: GatewayContext;
  private readonly owner: PoolOwner;
  private readonly databases: Databases;
  readonly hosts: Hosts;
  readonly listening: Listening;
  readonly shapes: DatabaseShapes;
  readonly clusters: Clusters;
  /** By the pools of those who are routed. */
  private readonly routes = new WeakMap<Pool, Routes<Session>>();

  constructor(context: GatewayContext, owner: PoolOwner, databases: Databases) {
    this.context = context;
    this.owner = owner;
    this.databases = databases;
    this.hosts = new Hosts(context, this);
    this.listening = new Listening(context, owner, this.hosts);
    this.shapes = new DatabaseShapes(context);
    this.clusters = new Clusters(context, owner, this.hosts, this);
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

  /** Another node of a database is the primary, or none is known. */
  primaryChanged(cluster: Cluster): void {
    const { database, primary } = cluster;
    const hasMoved = primary !== null && database.lastPrimary !== null && database.lastPrimary !== primary;
    database.lastPrimary = primary ?? database.lastPrimary;
    for (const pool of this.byKey.values()) {
      if (pool instanceof StandbyPool && pool.identity.node === primary) pool.retire(PRIMARY_CHANGED);
    }
    this.lead(cluster, hasMoved);
    this.listening.primaryChanged(database);
    this.shapes.find(database)?.primaryChanged();
  }

  /** Whatever its server connections are doing: what they write now may be lost. */
  primaryDeposed({ database }: Cluster): void {
    const cut = this.ofPrimary(database).filter(({ serverCount }) => serverCount > 0);
    if (cut.length === 0) return;
    const connections = cut.reduce((sum, { serverCount }) => sum + serverCount, 0);
    recordCut(this.context, database, connections);
    for (const pool of cut) {
      pool.servers.close(PRIMARY_CHANGED);
      pool.resume();
    }
  }

  /**
   * A primary that hands over ends its sessions one after the other, two milliseconds each, and as long as it has not ended nobody
   * can follow it: those that do nothing end while it still waits for transactions.
   */
  holdChanged(cluster: Cluster): void {
    const { database, isHeld } = cluster;
    this.lead(cluster, false);
    if (!isHeld || this.targetOf(database) !== 'primary') return;
    for (const pool of this.ofPrimary(database)) pool.servers.replace(PRIMARY_HANDS_OVER);
  }

  /** Its pools but those of standbys. */
  private ofPrimary(database: Database): Pool[] {
    return [...this.byKey.values()].filter(
      (pool) => pool.database === database && !(pool instanceof StandbyPool),
    );
  }

  /** No node lets anybody in: to wait for a primary would not help. */
  refused({ database }: Cluster, refusal: ErrorFields): void {
    for (const pool of this.byKey.values()) if (pool.database === database) pool.refuse(refusal);
  }

  /** Other nodes than before are standbys that may serve. */
  standbysChanged(cluster: Cluster): void {
    if (this.targetOf(cluster.database) !== 'primary') this.lead(cluster, false);
  }

  /** Leads the pools of a database to the nodes that its clients are to reach. */
  private lead(cluster: Cluster, hasPrimaryMoved: boolean): void {
    const { database } = cluster;
    const target = this.targetOf(database);
    const addresses = addressesOf(cluster, target);
    const pools = this.ofPrimary(database);
    noteHold(this.context, cluster, pools, addresses.length === 0);
    database.targetAddresses = addresses;
    for (const pool of pools) {
      pool.follow(addresses, target === 'primary' && hasPrimaryMoved);
      if (target !== 'primary') pool.servers.keepOnly(addresses, PRIMARY_CHANGED);
    }
  }

  private targetOf({ name }: Database): TargetNodes {
    const { databases } = this.context.settings;
    return (databases.get(name) ?? databases.get('*'))?.target ?? 'primary';
  }

  /** A standby may have been started again, and show less than it did: who waits for a connection to it was sent there for that. */
  standbyLost(node: RouteNode, isSilent: boolean): void {
    for (const pool of this.byKey.values()) {
      if (!(pool instanceof StandbyPool) || pool.identity.node !== node) continue;
      pool.sendElsewhere();
      if (isSilent) pool.giveUp(NODE_SILENT);
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
    const node = identity.node?.settings.name;
    const key = JSON.stringify([identity.database.name, identity.user.name, sorted, owner, node]);
    const known = this.byKey.get(key);
    if (known !== undefined) {
      known.identity.user = identity.user;
      this.route(database, identity);
      return known;
    }
    if (this.byKey.size >= POOLS_MAX) return null;
    this.route(database, identity);
    const limits = limitsOf(this.context.settings, database, identity);
    const kind = node !== undefined ? StandbyPool : replicates ? ReplicationPool : Pool;
    const pool = new kind(this.context, this.owner, this.hosts, identity, limits);
    this.byKey.set(key, pool);
    return pool;
  }

  /** Finds out which of the database's nodes is what, if it has nodes. */
  private route(entry: DatabaseSettings, identity: PoolIdentity): void {
    const { database, user } = identity;
    const limits = poolLimits(this.context.settings, entry, { name: database.name, user });
    const cluster = this.clusters.join(entry, { identity, limits });
    database.isManaged = entry.cluster !== null;
    database.targetAddresses = cluster === null ? null : addressesOf(cluster, entry.target);
    if (cluster !== null) this.shapes.of(database, cluster);
  }

  /** How the clients of a pool are routed; null: they are not. */
  routesOf(pool: Pool): Routes<Session> | null {
    const { database, startupParameters, user } = pool.identity;
    const nodes = this.clusters.find(database);
    const shapes = this.shapes.find(database);
    if (nodes === undefined || shapes === undefined || !pool.sharesServers) return null;
    if (this.targetOf(database) !== 'primary') return null;
    const known = this.routes.get(pool);
    if (known !== undefined && known.nodes === nodes && known.shapes === shapes) return known;
    const standbys = new Map<RouteNode, StandbyPool>();
    const { context } = this;
    const routes: Routes<Session> = {
      nodes,
      shapes,
      user: user.name,
      get consistency() {
        return pool.limits.consistency;
      },
      get balancesLeadingReads() {
        return context.settings.balanceLeadingReads;
      },
      get searchPath() {
        return startupParameters.get(PATH) ?? pool.limits.startupParameters.get(PATH) ?? null;
      },
      standbyServers: (node) => {
        const kept = standbys.get(node);
        if (kept?.isForgotten === false) return kept;
        const opened = this.openStandby(pool.identity, node);
        if (opened !== null) standbys.set(node, opened);
        return opened;
      },
    };
    this.routes.set(pool, routes);
    return routes;
  }

  private openStandby(identity: PoolIdentity, node: RouteNode): StandbyPool | null {
    const { databases } = this.context.settings;
    const entry = databases.get(identity.database.name) ?? databases.get('*');
    return entry === undefined ? null : (this.open(entry, { ...identity, node }) as StandbyPool | null);
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
    this.clusters.applySettings(hasOtherTls);
    for (const pool of this.byKey.values()) {
      const { name } = pool.database;
      const entry = settings.databases.get(name) ?? settings.databases.get('*');
      if (entry !== undefined) {
        this.route(entry, pool.identity);
        pool.applyLimits(limitsOf(settings, entry, pool.identity));
        pool.identity.user = userAfterReload(pool.identity.user, entry, settings);
      }
      if (hasOtherTls) pool.servers.replace(CONFIGURATION_CHANGED);
    }
    this.listening.applySettings(hasOtherTls);
    this.openWarm();
  }

  /** Does what is due, and returns the time in ms at which more will be. */
  advance(now: number): number {
    let next = Math.min(this.hosts.advance(now), this.listening.advance(now), this.shapes.advance(now));
    for (const [key, pool] of this.byKey) {
      next = Math.min(next, pool.advance(now));
      if (!pool.isUnused) continue;
      this.byKey.delete(key);
      if (pool instanceof StandbyPool) pool.isForgotten = true;
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
  entry: DatabaseSettings,
  { database, user, node }: PoolIdentity,
): PoolLimits {
  const limits = poolLimits(settings, entry, { name: database.name, user });
  if (node !== undefined) return towardsStandby(limits, node.settings.address);
  return towardsTarget(limits, database);
}

function addressesOf({ nodes, primary, isHeld }: Cluster, target: TargetNodes): ServerAddress[] {
  const written = primary === null || isHeld ? [] : [primary.settings.address];
  if (target === 'primary') return written;
  const standbys = nodes.filter(({ mayServe }) => mayServe).map(({ settings }) => settings.address);
  return standbys.length > 0 || target === 'standby' ? standbys : written;
}

const PATH = 'search_path';
