/** What a seed decides of a world of nodes before it begins. */
import {
  type Consistency,
  type DatabaseSettings,
  type GatewaySettings,
  NO_DATABASE_SETTINGS,
  NO_EXTRA_SETTINGS,
  type NodeSettings,
} from '../../src/core/settings.js';
import type { Weather } from '../channel.js';
import type { Random } from '../random.js';

export const DATABASE = 'app';
/** The cluster whose store the gateway listens to. */
export const CLUSTER = 'main';
export const USERS = ['alice', 'bob'] as const;
export const PORT = 5432;

/** How servers replicate, and how long what they do takes. Times in ms. */
export interface ServersPlan {
  readonly count: number;
  /** A commit is acknowledged when a standby has it, as long as there is one that streams. */
  readonly isSynchronous: boolean;
  readonly workMsMax: number;
  readonly shippingMsMax: number;
  /** How far replay may lie behind what was received. */
  readonly replayMsMax: number;
  /** Probability, for each statement on a standby, that a replay conflict cancels it. */
  readonly conflicts: number;
  /** Probability, for each statement, that its session dies instead of answering. */
  readonly deaths: number;
  /** How long an answer to who watches may take. */
  readonly watchMsMax: number;
}

/** What befalls the nodes. Times in ms. */
export interface TroublePlan {
  /** How many things happen, and how much lies between two of them. */
  readonly count: number;
  readonly pauseMsMax: number;
  /** From the loss of the primary to the election of another one. */
  readonly detectionMsMax: number;
  /** From its election until it can be written to. */
  readonly openingMsMax: number;
}

/** What the cluster's store does. Times in ms. */
export interface StorePlan {
  readonly leaseMs: number;
  /** How long news are on their way at most. */
  readonly newsMsMax: number;
  /** Probability, for each renewal, that the store can't be read for a while. */
  readonly outages: number;
}

export interface ClientsPlan {
  readonly count: number;
  readonly turnsMax: number;
  readonly thinkMsMax: number;
  /** How many lists there are. */
  readonly lists: number;
  /** The share of turns that write. */
  readonly writes: number;
  /** The share of reads that ask for a consistency of their own. */
  readonly hints: number;
  /** Probability that a client breaks off before its work is done. */
  readonly departures: number;
}

export interface RoutedPlan {
  readonly seed: number;
  readonly settings: GatewaySettings;
  readonly weather: Weather;
  readonly highWaterBytes: number;
  readonly servers: ServersPlan;
  readonly trouble: TroublePlan;
  /** Null: the nodes tell by themselves who is the primary. */
  readonly store: StorePlan | null;
  readonly clients: ClientsPlan;
  /** Probability that a question about a statement can't be answered for now. */
  readonly unanswered: number;
  /** Strong reads are always sent early, however likely it is that they are taken back. */
  readonly isHasty: boolean;
  /** All reads are expected to be quick, so that they share pipelines; most take longer than their company's patience. */
  readonly areQuick: boolean;
}

export const nodeName = (index: number): string => `10.1.0.${index + 1}`;

export function nodeSettings(count: number): NodeSettings[] {
  return Array.from({ length: count }, (_, index) => {
    const name = nodeName(index);
    return { name, address: { host: name, port: PORT }, weight: 1, zone: '' };
  });
}

export function makePlan(seed: number, random: Random): RoutedPlan {
  const count = random.weighted([
    [2, 2],
    [3, 3],
  ]);
  const store = random.chance(0.6) ? makeStore(random) : null;
  return {
    seed,
    settings: makeSettings(random, count, store !== null),
    weather: makeWeather(random),
    // With little, each answer is more than a client takes at once.
    highWaterBytes: random.pick([16, 1024, 65_536]),
    servers: makeServers(random, count),
    trouble: makeTrouble(random),
    store,
    clients: makeClients(random),
    unanswered: random.pick([0, 0, 0.1]),
    isHasty: random.chance(0.4),
    areQuick: random.chance(0.6),
  };
}

function makeSettings(random: Random, count: number, hasStore: boolean): GatewaySettings {
  const nodes = nodeSettings(count);
  const entry: DatabaseSettings = {
    ...NO_DATABASE_SETTINGS,
    name: DATABASE,
    addresses: nodes.map(({ address }) => address),
    nodes,
    cluster: hasStore ? CLUSTER : null,
    serverDatabase: null,
    forcedUser: null,
    poolMode: null,
    poolSize: random.int(1, 4),
  };
  const secret = { password: null, md5: null, scram: null };
  return {
    ...NO_EXTRA_SETTINGS,
    databases: new Map([[DATABASE, entry]]),
    users: new Map(USERS.map((name) => [name, { name, secret, limits: null, isListed: true }])),
    authType: 'trust',
    poolMode: 'transaction',
    sessionState: 'transparent',
    consistency: random.weighted<Consistency>([
      [6, 'strong'],
      [2, 'session'],
      [1, 'bounded'],
      [1, 'eventual'],
      [1, 'primary'],
    ]),
    standbyWaitMs: random.pick([0, 10, 100]),
    balanceLeadingReads: random.chance(0.5),
    deferBegin: random.chance(0.7),
    boundedStalenessMs: random.pick([100, 1000]),
    standbySlowStartMs: 0,
    failoverTimeoutMs: random.pick([200, 1000, 30_000, 30_000]),
    defaultPoolSize: 4,
    maxClientConn: 100,
    maxPreparedStatements: random.pick([2, 200]),
    serverResetQuery: 'DISCARD ALL',
    maxPacketSize: 1 << 20,
    ignoreStartupParameters: new Set(),
    queryWaitTimeoutMs: 0,
    clientLoginTimeoutMs: 60_000,
    serverIdleTimeoutMs: random.pick([50, 600_000]),
    serverLifetimeMs: random.pick([300, 3_600_000]),
    serverConnectTimeoutMs: random.pick([500, 15_000]),
    serverLoginRetryMs: random.pick([0, 100, 1000]),
    cancelWaitTimeoutMs: 10_000,
    logConnections: false,
    logDisconnections: false,
    logPoolerErrors: true,
  };
}

function makeWeather(random: Random): Weather {
  const isCut = random.chance(0.3);
  return {
    latencyMsMax: random.pick([0.2, 1, 5]),
    tinyPieces: isCut ? 0.3 : 0,
    cutPieces: isCut ? 0.5 : 0.1,
    stalls: random.pick([0, 0, 0.005]),
    stallMsMax: 300,
  };
}

function makeServers(random: Random, count: number): ServersPlan {
  return {
    count,
    isSynchronous: random.chance(0.6),
    workMsMax: random.pick([0.5, 5, 50]),
    shippingMsMax: random.pick([0.5, 5]),
    replayMsMax: random.pick([0.5, 5, 100]),
    conflicts: random.pick([0, 0.05]),
    deaths: random.pick([0, 0, 0.02]),
    watchMsMax: random.pick([0.5, 20]),
  };
}

function makeTrouble(random: Random): TroublePlan {
  return {
    count: random.int(1, 5),
    pauseMsMax: random.pick([300, 1000]),
    detectionMsMax: random.pick([50, 1000]),
    openingMsMax: random.pick([20, 500]),
  };
}

function makeStore(random: Random): StorePlan {
  return {
    leaseMs: 2000,
    newsMsMax: random.pick([1, 20, 200]),
    outages: random.pick([0, 0, 0.1]),
  };
}

function makeClients(random: Random): ClientsPlan {
  return {
    count: random.int(2, 8),
    turnsMax: random.pick([15, 50]),
    thinkMsMax: random.pick([5, 100, 300]),
    lists: random.int(1, 3),
    writes: random.pick([0.1, 0.4]),
    hints: 0.2,
    departures: random.pick([0, 0.2]),
  };
}
