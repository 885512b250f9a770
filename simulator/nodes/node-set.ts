/** A cluster of model nodes and what watches it, ready to be used. */

import { poolLimits } from '../../src/core/pool/pool-limits.js';
import type { Cluster } from '../../src/core/route/cluster.js';
import {
  type DatabaseSettings,
  type GatewaySettings,
  NO_DATABASE_SETTINGS,
  NO_EXTRA_SETTINGS,
  type UserSettings,
} from '../../src/core/settings.js';
import { Random } from '../random.js';
import { ModelNode } from './model-node.js';
import { NodeWorld } from './node-world.js';

const PORT = 5432;
const DATABASE = 'app';

/** A user without a password. */
export function userOf(name: string): UserSettings {
  return { name, secret: { password: null, md5: null, scram: null }, limits: null, isListed: true };
}

export class NodeSet {
  readonly random: Random;
  readonly nodes: readonly ModelNode[];
  readonly world: NodeWorld;
  readonly entry: DatabaseSettings;
  private readonly settings: GatewaySettings;

  /** The first node is the primary. @param cluster whose store says who leads; null: the nodes say it */
  constructor(
    seed: number,
    count: number,
    change: Partial<GatewaySettings> = {},
    cluster: string | null = null,
  ) {
    this.random = new Random(seed);
    const names = Array.from({ length: count }, (_, i) => `10.0.0.${i + 1}`);
    this.nodes = names.map((name, i) => new ModelNode(name, i > 0));
    const addresses = names.map((host) => ({ host, port: PORT }));
    this.entry = {
      ...NO_DATABASE_SETTINGS,
      name: DATABASE,
      addresses,
      nodes: addresses.map((address) => ({ name: address.host, address, weight: 1, zone: '' })),
      cluster,
      serverDatabase: null,
      forcedUser: null,
      poolMode: null,
      poolSize: null,
    };
    this.settings = {
      ...NO_EXTRA_SETTINGS,
      databases: new Map([[DATABASE, this.entry]]),
      users: new Map(),
      authType: 'trust',
      poolMode: 'transaction',
      defaultPoolSize: 5,
      maxClientConn: 10,
      maxPreparedStatements: 0,
      serverResetQuery: '',
      maxPacketSize: 1 << 20,
      ignoreStartupParameters: new Set(),
      queryWaitTimeoutMs: 0,
      clientLoginTimeoutMs: 0,
      serverIdleTimeoutMs: 0,
      serverLifetimeMs: 0,
      serverConnectTimeoutMs: 15_000,
      serverLoginRetryMs: 15_000,
      cancelWaitTimeoutMs: 0,
      logConnections: true,
      logDisconnections: true,
      logPoolerErrors: true,
      ...change,
    };
    this.world = new NodeWorld(this.random, this.nodes, this.settings, (clusters, { databases }) => {
      const user = userOf('first');
      const identity = { database: databases.use(DATABASE, false), user };
      return clusters.join(this.entry, { identity, limits: this.limitsOf(user) })!;
    });
  }

  get cluster(): Cluster {
    return this.world.cluster;
  }

  /** A pool of another user has come. */
  join(user: UserSettings): void {
    this.world.join(this.entry, user, this.limitsOf(user));
  }

  /** The name of the primary, as the cluster knows it. */
  get primary(): string | null {
    return this.cluster.primary?.settings.name ?? null;
  }

  /** All roles, in the order of the nodes. */
  get roles(): string[] {
    return this.cluster.nodes.map(({ role }) => role);
  }

  /** Lets time pass until the condition holds; returns how much, in ms. Throws when that takes too long. */
  passUntil(what: string, condition: () => boolean, limitMs = 30_000): number {
    const from = this.world.time;
    while (!condition()) {
      if (this.world.time > from + limitMs) throw new Error(`waited ${limitMs} ms for ${what}`);
      this.world.pass(1);
    }
    return this.world.time - from;
  }

  private limitsOf(user: UserSettings) {
    return poolLimits(this.settings, this.entry, { name: DATABASE, user });
  }
}
