/** One round: load, a fault, and what became of everybody's writes. */
import { setTimeout as pause } from 'node:timers/promises';
import { until } from '../harness/until.js';
import { APPLICATIONS, type ClusterUnderTest } from './clusters/cluster-under-test.js';
import { DATABASE, type DatabaseNode, POSTGRES_PORT, SUPERUSER } from './clusters/database-node.js';
import type { Fault, Stricken } from './faults.js';
import type { Ground } from './ground/ground.js';
import { monotonic, type Operation } from './load/history.js';
import { LoadMachines, ORDINARY_CLIENTS } from './load/load-machines.js';
import {
  acknowledged,
  type Failures,
  failures,
  harmedBystanders,
  lastAfter,
  longestGap,
  lostWrites,
  type TwoPrimaries,
  takenOverAfter,
  twoPrimaries,
} from './load/oracles.js';
import { READ_SQL, SET_SQL } from './load/workload.js';

const PACE_MS = 50;
/** Machines inside count from here. */
let lastInside = 100_000;

export interface Round {
  readonly history: readonly Operation[];
  /** When the fault came, in ms of the history's clock. */
  readonly since: number;
  /** From then until everything that the fault does was done, in ms. */
  readonly struckMs: number;
  /** From the fault to the first acknowledgement of another primary; infinite: there was none. */
  readonly takenOverMs: number;
  /** The longest time without an acknowledgement. */
  readonly gapMs: number;
  readonly failures: readonly Failures[];
  readonly harmed: readonly Operation[];
  readonly acknowledged: number;
  readonly lost: readonly Operation[];
  readonly twoPrimaries: readonly TwoPrimaries[];
  /** Nodes that accepted writes at the same time at the end, whether or not clients were led there. */
  readonly writable: readonly string[];
  /** From the fault to the last write that the cut-off primary acknowledged to clients of its own machine; null: to none. */
  readonly insideMs: number | null;
  /** What those clients did and saw. */
  readonly inside: readonly Operation[];
  /** From the fault's end until the old primary streamed again, in ms; null: it did not in time. */
  readonly rejoinedMs: number | null;
}

export interface RoundLimits {
  /** How long a new primary is waited for, in ms. */
  readonly takeOverMs: number;
  /** How long the old primary's return is waited for, in ms. */
  readonly rejoinMs: number;
  /** How much is acknowledged before the fault. */
  readonly warmWrites: number;
  /** How long the load goes on when everything is well again, in ms. */
  readonly afterwardsMs: number;
}

export const ORDINARY_LIMITS: RoundLimits = {
  takeOverMs: 180_000,
  rejoinMs: 60_000,
  warmWrites: 300,
  afterwardsMs: 3_000,
};

/** The load that a cluster has through all of its rounds. Loads that follow one another need another `first`. */
export function startLoad(ground: Ground, cluster: ClusterUnderTest, first = 1): LoadMachines {
  const places = APPLICATIONS.map((name) => ground.place(name));
  const shape = { database: DATABASE, user: SUPERUSER, clients: ORDINARY_CLIENTS, paceMs: PACE_MS };
  return LoadMachines.start(places, cluster.targets, shape, first);
}

/** Makes the table of the set. */
export async function prepareSet(cluster: ClusterUnderTest): Promise<void> {
  const primary = await writableNode(cluster);
  await primary.query(SET_SQL);
}

/** Clients on a node's own machine, who reach it past every gateway and network. */
export function startInside(ground: Ground, node: DatabaseNode): LoadMachines {
  const clients = { autocommit: 2, transaction: 0, idle: 0, open: 0 };
  const place = ground.place(node.name);
  const targets = [{ host: place.listens, port: POSTGRES_PORT }];
  const shape = { database: DATABASE, user: SUPERUSER, clients, paceMs: PACE_MS };
  return LoadMachines.start([place], targets, shape, ++lastInside);
}

/** The node that accepts writes, as soon as there is one. */
export async function writableNode(cluster: ClusterUnderTest): Promise<DatabaseNode> {
  return until('a primary', async () => {
    for (const node of cluster.nodes) if (await node.isWritable()) return node;
    return null;
  });
}

function lastWriter(
  cluster: ClusterUnderTest,
  history: readonly Operation[],
): { node: DatabaseNode; write: Operation } {
  const write = acknowledged(history).findLast(({ server }) => server !== null);
  const node = cluster.nodes.find(({ server }) => server === write?.server);
  if (write === undefined || node === undefined)
    throw new Error(`nobody known has written: ${write?.server}`);
  return { node, write };
}

/** Whether the last write was acknowledged by this node, and none by anybody on a later timeline. */
function isNewestWriter({ server }: DatabaseNode, history: readonly Operation[]): boolean {
  const last = acknowledged(history).at(-1);
  return last?.server === server && history.every(({ timeline }) => (timeline ?? 0) <= (last.timeline ?? 0));
}

/** Runs a fault under load. The load goes on afterwards. */
export async function runRound(
  ground: Ground,
  cluster: ClusterUnderTest,
  load: LoadMachines,
  fault: Fault,
  limits: RoundLimits,
): Promise<Round> {
  const begin = load.history.length;
  const current = () => load.history.slice(begin);
  await until('the load to run', () => acknowledged(current()).length >= limits.warmWrites, 120_000);
  const { node: primary, write } = lastWriter(cluster, current());
  const old = { server: write.server!, timeline: write.timeline! };
  const stricken: Stricken = { ground, cluster, primary };
  const inside = fault.isolates ? startInside(ground, primary) : null;
  if (inside) await until('clients inside', () => acknowledged(inside.history).length >= 10, 60_000);
  const since = monotonic();
  await fault.begin(stricken);
  const struckMs = monotonic() - since;
  const waitMs = fault.passesAfterMs ?? limits.takeOverMs;
  const takenOver = () => Number.isFinite(takenOverAfter(current(), since, old));
  await until('another primary', takenOver, waitMs).catch(() => {});
  if (fault.passesAfterMs !== undefined) await pause(Math.max(0, since + fault.passesAfterMs - monotonic()));
  await inside?.stop(2_000);
  const undone = monotonic();
  await fault.end(stricken);
  const alive = () => acknowledged(current()).some(({ invoked }) => invoked > undone);
  await until('writes', alive, limits.takeOverMs).catch(() => {});
  let rejoinedMs: number | null = null;
  await until(
    `${primary.name} to stream`,
    async () => {
      // It may never have been another, or be the primary again.
      const isPrimary = isNewestWriter(primary, current()) && (await primary.isWritable());
      if (!isPrimary && !(await primary.streams())) return false;
      rejoinedMs = monotonic() - undone;
      return true;
    },
    limits.rejoinMs,
  ).catch(() => {});
  await pause(limits.afterwardsMs);
  const states = await Promise.all(
    cluster.nodes.map(async (node) => ((await node.isWritable()) ? node.name : null)),
  );
  const within = inside?.history ?? [];
  // What is acknowledged while the set is read need not be in it.
  const history = current();
  const present = await presentNumbers(cluster, history);
  const judged = judge(fault, history, since, old, present);
  return {
    ...judged,
    struckMs,
    lost: [...judged.lost, ...lostWrites(within, present)],
    twoPrimaries: twoPrimaries([...judged.history, ...within]),
    rejoinedMs,
    insideMs: lastAcknowledged(within, since),
    inside: within,
    writable: states.filter((name) => name !== null),
  };
}

/** What the node has that clients write to at last, and has acknowledged before it was looked at. */
async function presentNumbers(
  cluster: ClusterUnderTest,
  history: readonly Operation[],
): Promise<ReadonlySet<number>> {
  const { node } = lastWriter(cluster, history);
  const rows = await node.query(READ_SQL, 30_000);
  return new Set(rows.map(({ number }) => Number(number)));
}

/** From `since` to the last acknowledgement, in ms; null: there is none. */
function lastAcknowledged(history: readonly Operation[], since: number): number | null {
  const last = lastAfter(history, since);
  return last > 0 ? last : null;
}

function judge(
  fault: Fault,
  history: readonly Operation[],
  since: number,
  old: { server: string; timeline: number },
  present: ReadonlySet<number>,
): Omit<Round, 'struckMs' | 'rejoinedMs' | 'writable' | 'insideMs' | 'inside'> {
  return {
    history,
    since,
    takenOverMs: takenOverAfter(history, since, old),
    gapMs: longestGap(history, since).ms,
    failures: failures(history, since),
    harmed: harmedBystanders(history, since, fault.isSilent === true),
    acknowledged: acknowledged(history).length,
    lost: lostWrites(history, present),
    twoPrimaries: twoPrimaries(history),
  };
}
