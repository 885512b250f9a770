/** The clusters of one gateway: made when a database with nodes gets a pool, forgotten when none of its pools is left. */
import type { ErrorFields } from '../../wire/error-fields.js';
import { CONFIGURATION_CHANGED } from '../close-reasons.js';
import type { GatewayContext } from '../context.js';
import type { Database } from '../databases.js';
import type { Hosts } from '../hosts.js';
import type { ServerAddress } from '../io.js';
import { type PoolLimits, poolLimits } from '../pool/pool-limits.js';
import { userAfterReload } from '../server/server-user.js';
import type { DatabaseSettings, NodeSettings, UserSettings } from '../settings.js';
import { Cluster, type ClusterFollower, type ClusterOwner } from './cluster.js';
import { type ClusterNews, EpochBelief } from './epoch.js';
import type { FoundNodes, ManagersWord } from './found-nodes.js';
import { Logins } from './logins.js';
import type { NodeConnectionOwner } from './node-connection.js';
import type { RouteNode } from './route-node.js';

/** A pool, as this sees it. */
export interface ClusterPool {
  readonly identity: { readonly database: Database; readonly user: UserSettings };
  readonly limits: PoolLimits;
}

const NEVER = Number.POSITIVE_INFINITY;

export class Clusters implements ClusterOwner {
  private readonly byDatabase = new Map<Database, Cluster>();
  /** By the names of clusters that have a store. */
  private readonly beliefs = new Map<string, EpochBelief>();
  /** What other sources of nodes have said last, by their names. */
  private readonly finds = new Map<string, FoundNodes>();
  /** Where they were, to count how often that became another place. */
  private readonly lastPrimaries = new WeakMap<Cluster, string>();
  private readonly context: GatewayContext;
  private readonly owner: NodeConnectionOwner;
  private readonly hosts: Hosts;
  private readonly follower: ClusterFollower;
  /** In ms; some cluster is to be looked at then. */
  private dueAt = NEVER;

  constructor(context: GatewayContext, owner: NodeConnectionOwner, hosts: Hosts, follower: ClusterFollower) {
    this.context = context;
    this.owner = owner;
    this.hosts = hosts;
    this.follower = follower;
  }

  /** The cluster of a database; undefined: it has no nodes, or no pool yet. */
  find(database: Database): Cluster | undefined {
    return this.byDatabase.get(database);
  }

  get inUse(): [Database, Cluster][] {
    return [...this.byDatabase];
  }

  /** A pool of a database exists, whose user may log in: the nodes are watched by it. Null: the database has no nodes. */
  join(entry: DatabaseSettings, { identity, limits }: ClusterPool): Cluster | null {
    const nodes = this.nodesOf(entry);
    if (nodes === null) return null;
    const { database, user } = identity;
    let cluster = this.byDatabase.get(database);
    if (cluster === undefined) {
      const { context, owner, hosts } = this;
      const logins = new Logins(user, limits);
      const belief = entry.cluster === null ? null : this.beliefOf(entry.cluster);
      cluster = new Cluster({ context, owner, hosts, database, logins }, this, nodes, belief);
      this.byDatabase.set(database, cluster);
      cluster.found(nodes, this.wordFor(entry));
    } else cluster.join(user, limits);
    return cluster;
  }

  /** What has been heard of a cluster that has a store. */
  beliefOf(name: string): EpochBelief {
    let belief = this.beliefs.get(name);
    if (belief === undefined) {
      belief = new EpochBelief(name);
      this.beliefs.set(name, belief);
    }
    return belief;
  }

  /** The nodes of a database: those that its cluster's store or another source names, once it has been heard; null: it has none. */
  private nodesOf({ nodes, cluster, nodesFrom }: DatabaseSettings): readonly NodeSettings[] | null {
    const news = cluster === null ? undefined : this.beliefs.get(cluster)?.news;
    const named = (news ?? this.finds.get(nodesFrom ?? ''))?.nodes;
    return named === undefined || named.length === 0 ? nodes : withShares(named, nodes ?? []);
  }

  /** The store of a cluster has been read, `ageMs` ago. */
  heard(news: ClusterNews, ageMs: number): void {
    const { io, settings } = this.context;
    const change = this.beliefOf(news.cluster).hear(news, io.now(), ageMs);
    for (const [{ name }, cluster] of [...this.byDatabase]) {
      const entry = settings.databases.get(name) ?? settings.databases.get('*');
      if (entry?.cluster === news.cluster) cluster.heard(this.nodesOf(entry) ?? [], change);
    }
  }

  /** Which nodes there are, as the source of some databases says. */
  found(found: FoundNodes): void {
    this.finds.set(found.source, found);
    const { settings } = this.context;
    for (const [{ name }, cluster] of [...this.byDatabase]) {
      const entry = settings.databases.get(name) ?? settings.databases.get('*');
      if (entry?.nodesFrom === found.source) cluster.found(this.nodesOf(entry) ?? [], found.word);
    }
  }

  private wordFor({ nodesFrom }: DatabaseSettings): ManagersWord | null {
    return this.finds.get(nodesFrom ?? '')?.word ?? null;
  }

  /** Where a database's servers are, as far as that is known. */
  addressesOf(entry: DatabaseSettings): readonly ServerAddress[] {
    return this.nodesOf(entry)?.map(({ address }) => address) ?? entry.addresses;
  }

  primaryChanged(cluster: Cluster): void {
    const { primary } = cluster;
    if (primary !== null) {
      const place = JSON.stringify(primary.settings.address);
      const last = this.lastPrimaries.get(cluster) ?? place;
      if (last !== place) this.context.counters.primaryChanges += 1;
      this.lastPrimaries.set(cluster, place);
    }
    this.follower.primaryChanged(cluster);
  }

  primaryDeposed(cluster: Cluster): void {
    this.follower.primaryDeposed(cluster);
  }

  holdChanged(cluster: Cluster): void {
    this.follower.holdChanged(cluster);
  }

  standbysChanged(cluster: Cluster): void {
    this.follower.standbysChanged(cluster);
  }

  refused(cluster: Cluster, refusal: ErrorFields): void {
    this.follower.refused(cluster, refusal);
  }

  standbyLost(node: RouteNode, isSilent: boolean): void {
    this.follower.standbyLost(node, isSilent);
  }

  clusterStirred(): void {
    this.dueAt = 0;
  }

  /** The end of a turn of the loop: does what has become necessary or is due. Returns when more will be, in ms. */
  turn(now: number): number {
    if (now < this.dueAt) return this.dueAt;
    this.dueAt = NEVER;
    let next = NEVER;
    for (const cluster of this.byDatabase.values()) next = Math.min(next, cluster.turn(now));
    // What was done may have stirred one again: then the next turn comes at once.
    this.dueAt = Math.min(this.dueAt, next);
    return this.dueAt;
  }

  get isEmpty(): boolean {
    return this.byDatabase.size === 0;
  }

  /** Forgets those of which no pool is left. */
  keep(inUse: ReadonlySet<Database>): void {
    for (const [database, cluster] of this.byDatabase) {
      if (inUse.has(database) || !cluster.isIdle) continue;
      cluster.end('no client is left');
      this.byDatabase.delete(database);
    }
  }

  // --- What becomes of the connections ------------------------------------------------------------------------

  /** Closes all connections to nodes, of all databases or of those given; they are opened again when that may be. */
  replace(reason: string, databases: readonly Database[] | null = null): void {
    for (const cluster of this.of(databases)) cluster.replace(reason);
  }

  /** A host name has other addresses. */
  leave(name: string, vanished: ReadonlySet<string>): void {
    for (const cluster of this.byDatabase.values()) cluster.leaveHost(name, vanished);
  }

  resume(databases: readonly Database[] | null = null): void {
    for (const cluster of this.of(databases)) cluster.doubtPrimary();
  }

  /** Brings them in line with the context's settings. */
  applySettings(hasOtherTls: boolean): void {
    const { settings } = this.context;
    const sources = new Set([...settings.databases.values()].map(({ nodesFrom }) => nodesFrom));
    for (const source of this.finds.keys()) if (!sources.has(source)) this.finds.delete(source);
    for (const [database, cluster] of this.byDatabase) {
      const { name } = database;
      const entry = settings.databases.get(name) ?? settings.databases.get('*');
      const nodes = entry === undefined ? null : this.nodesOf(entry);
      if (entry === undefined || nodes === null || cluster.follows !== entry.cluster) {
        cluster.end(CONFIGURATION_CHANGED);
        this.byDatabase.delete(database);
        continue;
      }
      cluster.applySettings(nodes, (known) => {
        const user = userAfterReload(known, entry, settings);
        return { user, limits: poolLimits(settings, entry, { name, user }) };
      });
      cluster.found(nodes, this.wordFor(entry));
      if (hasOtherTls) cluster.replace(CONFIGURATION_CHANGED);
    }
  }

  private of(databases: readonly Database[] | null): Cluster[] {
    const all = [...this.byDatabase];
    return all
      .filter(([database]) => databases === null || databases.includes(database))
      .map(([, cluster]) => cluster);
  }
}

/** Nodes as their store names them, with the weights and zones that the configuration gives those of the same name or place. */
function withShares(
  named: readonly NodeSettings[],
  configured: readonly NodeSettings[],
): readonly NodeSettings[] {
  if (configured.length === 0) return named;
  return named.map((node) => {
    const place = JSON.stringify(node.address);
    const known = configured.find(
      ({ name, address }) => name === node.name || JSON.stringify(address) === place,
    );
    return known === undefined ? node : { ...node, weight: known.weight, zone: known.zone };
  });
}
