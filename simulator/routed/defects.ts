/**
 * Deliberate defects of routing, and of following a cluster: each breaks one rule on which a promise rests, and the simulation has
 * to notice. They replace methods, so that the product has no switch for them.
 */
import { Pools } from '../../src/core/pools.js';
import { Cluster } from '../../src/core/route/cluster.js';
import { EpochBelief } from '../../src/core/route/epoch.js';
import { StrongReads } from '../../src/core/route/strong-reads.js';
import { HeldAnswers } from '../../src/core/server/held-answers.js';
import { LossFacts } from '../../src/core/server/loss-facts.js';
import { ServerConnection } from '../../src/core/server/server-connection.js';
import { ReadPipeline } from '../../src/core/session/read-pipeline.js';
import { ReadRouting } from '../../src/core/session/read-routing.js';
import { ReadState } from '../../src/core/session/read-state.js';
import { Session } from '../../src/core/session/session.js';
import type { Consistency, GatewaySettings } from '../../src/core/settings.js';
import type { Fault } from '../fault.js';
import { type Replacement, replaceMethod } from '../replace-method.js';
import { CLUSTER, type RoutedPlan } from './plan.js';

/** A defect, and worlds in which it shows soon. */
export interface RoutedDefect {
  readonly fault: Fault;
  readonly change: (plan: RoutedPlan) => RoutedPlan;
}

type Change = RoutedDefect['change'];

function inMethod<This extends object>(
  prototype: This,
  name: string,
  replacement: Replacement<This>,
  change: Change = (plan) => plan,
): RoutedDefect {
  return { fault: { install: () => replaceMethod(prototype, name, replacement) }, change };
}

/** Many write and read the same list, while standbys are behind. */
const busy =
  (consistency: Consistency): Change =>
  (plan) => ({
    ...plan,
    settings: { ...plan.settings, consistency, standbyWaitMs: 100 },
    servers: { ...plan.servers, replayMsMax: 100, watchMsMax: 20, isSynchronous: false },
    clients: { ...plan.clients, count: 8, turnsMax: 50, thinkMsMax: 5, lists: 1, writes: 0.4 },
  });

/** The same, and many reads ask for less. */
const hinted: Change = (plan) => {
  const { clients, ...rest } = busy('session')(plan);
  return { ...rest, clients: { ...clients, hints: 0.7 } };
};

const hasty: Change = (plan) => ({ ...busy('strong')(plan), isHasty: true });

/** Many read at the same moments, and share what they are sent over. */
export const together: Change = (plan) => {
  const { clients, ...rest } = busy('strong')(plan);
  const many = { count: 16, thinkMsMax: 0, writes: 0.1, departures: 0.3 };
  return { ...rest, isHasty: false, areQuick: true, clients: { ...clients, ...many } };
};

const LEASE_MS = 2000;

/** A store that is heard at once, and primaries that go on when another one is elected. */
const withZombies: Change = (plan) => ({
  ...plan,
  settings: inStore(plan.settings),
  store: { leaseMs: LEASE_MS, newsMsMax: 1, outages: 0 },
  servers: { ...plan.servers, isSynchronous: false, workMsMax: 50 },
  trouble: { count: 5, pauseMsMax: 300, detectionMsMax: 50, openingMsMax: 500 },
  clients: { ...plan.clients, turnsMax: 50 },
});

/** Nobody waits for long, and a primary is away for longer. */
const withoutPatience: Change = (plan) => ({
  ...plan,
  settings: { ...plan.settings, failoverTimeoutMs: 100, balanceLeadingReads: true },
  trouble: { count: 5, pauseMsMax: 300, detectionMsMax: 1000, openingMsMax: 500 },
  clients: { ...plan.clients, turnsMax: 50 },
});

function inStore(settings: GatewaySettings): GatewaySettings {
  const databases = [...settings.databases].map(
    ([name, entry]) => [name, { ...entry, cluster: CLUSTER }] as const,
  );
  return { ...settings, databases: new Map(databases) };
}

export const DEFECTS: Readonly<Record<string, RoutedDefect>> = {
  'a strong read goes to any standby': inMethod(
    Cluster.prototype,
    'chooseAt',
    (_, _args, original) => original(0),
    busy('strong'),
  ),
  'a strong read counts on a position that was asked for before it came': inMethod(
    StrongReads.prototype,
    'add',
    (reads, args, original) => {
      if (reads['asking'] === null) return original(...args);
      return reads['asked'].push(args[0] as Parameters<StrongReads['add']>[0]);
    },
    busy('strong'),
  ),
  'an early answer is not held': inMethod(HeldAnswers.prototype, 'holdAnswers', () => {}, hasty),
  'an early answer is let go, whatever it shows': inMethod(
    StrongReads.prototype,
    'judgeEarly',
    (reads) => {
      for (let { first } = reads['judged']; first !== null; first = reads['judged'].first) {
        reads['judged'].remove(first);
        first.letGo();
      }
    },
    hasty,
  ),
  'an answer in a pipeline is taken for that of the next read': inMethod(
    ReadPipeline.prototype,
    'fromServer',
    (pipeline, [bytes, start, end]) => {
      const read = pipeline['reads'][pipeline['first'] + 1] ?? pipeline.head;
      return read?.answer(bytes as Uint8Array, start as number, end as number) === true;
    },
    together,
  ),
  'a read that leaves its pipeline is answered all the same': inMethod(
    ReadPipeline.prototype,
    'disperse',
    (pipeline) => {
      for (const read of pipeline['reads'].slice(pipeline['first'] + 1)) read?.sendAlone();
    },
    together,
  ),
  'an early read that waits for a server connection shares one, and is not held': inMethod(
    ReadRouting.prototype,
    'joinsOthers',
    (routing) =>
      routing['state'] === ReadState.ROUTED && routing['travelsTo'](routing['node']!, routing['servers']),
    (plan) => ({ ...hasty(plan), areQuick: true }),
  ),
  'a client that is slow to take its answer holds up those behind it': inMethod(
    ServerConnection.prototype,
    'resumeReading',
    (server, args, original) => {
      if (!(server.link instanceof ReadPipeline)) original(...args);
    },
    (plan) => ({ ...together(plan), highWaterBytes: 16 }),
  ),
  'what is lost with its pipeline is not repeated': inMethod(
    ReadPipeline.prototype,
    'serverLost',
    (pipeline, args, original) => {
      pipeline['reads'].fill(null, pipeline['first'] + 1);
      return original(...args);
    },
    (plan) => ({ ...together(plan), trouble: { ...plan.trouble, count: 5 } }),
  ),
  'what has been answered in part is repeated': inMethod(
    Session.prototype,
    'fromServer',
    (session, [bytes, start, end]) =>
      session['context'].io.send(session.connection, bytes as Uint8Array, start as number, end as number),
  ),
  'what a standby refuses is refused': inMethod(ReadRouting.prototype, 'moves', () => false),
  'a read that may see less settles where the next one goes': inMethod(
    ReadRouting.prototype,
    'released',
    (routing, _, original) => {
      routing['isBehind'] = false;
      return original();
    },
    hinted,
  ),
  'a BEGIN that has been answered is never said to the primary': inMethod(
    ReadRouting.prototype,
    'defersBegin',
    (routing, args, original) => {
      const isDeferred = original(...args);
      routing['state'] = ReadState.FREE;
      return isDeferred;
    },
    (plan) => ({ ...plan, settings: { ...plan.settings, deferBegin: true } }),
  ),
  'a transaction that waits for a primary in vain is forgotten': inMethod(
    ReadRouting.prototype,
    'losesBlock',
    () => false,
    withoutPatience,
  ),
  'a lost commit counts as one that has failed': inMethod(
    LossFacts.prototype,
    'mayHaveCommitted',
    () => false,
    withZombies,
  ),
  'a superseded primary is not cut off': inMethod(Pools.prototype, 'primaryDeposed', () => {}, withZombies),
  'nobody waits for a switchover': inMethod(EpochBelief.prototype, 'isHeldAt', () => false, withZombies),
  'whoever says so is the primary': inMethod(
    Cluster.prototype,
    'topology',
    (cluster, args, original) => {
      const found = original(...args) as ReturnType<Cluster['topology']>;
      const first = cluster['watches'].findIndex(({ evidence }) => evidence?.isInRecovery === false);
      return { ...found, primary: first, candidate: first };
    },
    withZombies,
  ),
  'failover_timeout is cut short': {
    fault: { settings: (settings) => ({ ...settings, failoverTimeoutMs: settings.failoverTimeoutMs / 10 }) },
    change: withoutPatience,
  },
};
