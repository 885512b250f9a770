/** A way to keep a database available: nodes, who manages them, and what clients connect to. */
import type { Ground } from '../ground/ground.js';
import type { Target } from '../load/workload.js';
import type { DatabaseNode } from './database-node.js';

/** The machines that every cluster stands on. */
export const DATABASES = ['db1', 'db2', 'db3'] as const;
export const GATEWAYS = ['gw1', 'gw2'] as const;
export const APPLICATIONS = ['app1', 'app2'] as const;
export const STORES = ['store1', 'store2', 'store3'] as const;

/** Where clients connect. */
export const FRONT_PORT = 6432;

export interface ClusterUnderTest {
  readonly nodes: readonly DatabaseNode[];
  /** Programs, versions and settings that a figure depends on, a line each. */
  describe(): Promise<readonly string[]>;
  /** Starts everything, and waits until writes succeed and each standby streams. */
  start(): Promise<void>;
  readonly targets: readonly Target[];
  /**
   * What comes by itself when a PostgreSQL has died, other than by the manager itself: the service manager, which starts it
   * again as it was, and whatever attaches it to the pooler again. Undefined: the manager does all of that.
   */
  readonly revive?: (node: DatabaseNode) => Promise<void>;
  /** Asks for a planned change of the primary to any standby, and waits until the command has ended. */
  readonly switchOver?: () => Promise<void>;
  /** The process id of the program that manages a node. */
  readonly managerOf?: (node: DatabaseNode) => number;
  /** Ends the gateways one after the other as an operator does, and starts each again before the next is ended. */
  readonly restartGateways?: (() => Promise<void>) | undefined;
  /** Where who leads is agreed on. */
  readonly store?: StoreUnderTest;
  /** Starts a machine's programs again after all of them were killed. */
  readonly boot?: (node: DatabaseNode) => Promise<void>;
  stop(): Promise<void>;
}

/** Members of a store. */
export interface StoreUnderTest {
  readonly names: readonly string[];
  /** As a power failure ends it. */
  kill(name: string): Promise<void>;
  startMember(name: string): void;
}

/** What a cluster is built with. */
export interface Building {
  readonly ground: Ground;
  /** For data, configuration and logs. */
  readonly folder: string;
  /** How many members the store has, where there is one. */
  readonly stores: 1 | 3;
  /** Timeouts as far down as the programs go, in place of their defaults. */
  readonly tuned: boolean;
  /** Of Sluice's own clusters, in seconds. Default: Sluice's. */
  readonly leaseSeconds?: number;
  /** Of Sluice's own clusters: what an acknowledged commit is worth. Default: `durable`. */
  readonly durability?: 'durable' | 'asynchronous';
  /** Of Sluice's own clusters: settings of PostgreSQL beside the ordinary ones. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Of Sluice's own clusters: each database node has a disk of its own, of so many megabytes. */
  readonly diskMegabytes?: number;
}

/** The names of all machines. */
export function machines(stores: 1 | 3): string[] {
  return [...DATABASES, ...GATEWAYS, ...APPLICATIONS, ...STORES.slice(0, stores)];
}
