/**
 * The nodes of one database as one reactor sees them: who the primary is, and which standby may serve a read.
 *
 * What nodes say comes in the middle of a turn of the loop, and is noted; what follows from it, for roles and for reads, is done
 * once, at the turn's end ({@link Cluster.turn}).
 */
import type { ErrorFields } from '../../wire/error-fields.js';
import { CONFIGURATION_CHANGED } from '../close-reasons.js';
import type { GatewayContext } from '../context.js';
import type { Database } from '../databases.js';
import { NODE_LOOK_MS } from '../limits.js';
import { isTemporary } from '../pool/login-failure.js';
import { leadElsewhere, type PoolLimits } from '../pool/pool-limits.js';
import type { OwnQuestion } from '../server/own-question.js';
import * as Request from '../server/request-queue.js';
import type { NodeSettings, UserSettings } from '../settings.js';
import { Balance } from './balance.js';
import type { Change, EpochBelief } from './epoch.js';
import { judgeByEpoch } from './epoch-topology.js';
import { FlushedPosition } from './flushed-position.js';
import type { ManagersWord } from './found-nodes.js';
import type { Logins } from './logins.js';
import type { NodeConnections } from './node-connection.js';
import { NodeQueries, type QueryRows } from './node-queries.js';
import { type NodeSnapshot, nodeSnapshot } from './node-snapshot.js';
import { NodeWatch, type NodeWatcher } from './node-watch.js';
import { PositionHistory } from './position-history.js';
import type { Reader } from './reader-list.js';
import { reportRole } from './role-reports.js';
import { RouteNode } from './route-node.js';
import { isSameList, isSameNode } from './same-nodes.js';
import { type RouteCounters, StrongReads, type StrongReadsCluster } from './strong-reads.js';
import { type Hint, judgeTopology, type Lineage, NO_LINEAGE, type Topology } from './topology.js';
import { NO_POSITION, recordEnd } from './wal-position.js';

/** Who follows what becomes of the nodes. */
export interface ClusterFollower {
  /** Another node is the primary now, or none is known (null). Also called when the same node has been found again. */
  primaryChanged(cluster: Cluster): void;
  /** The term of the last primary is over, by the store's word: what still runs there is cut. */
  primaryDeposed(cluster: Cluster): void;
  /** New transactions are to wait, or need not any more ({@link Cluster.isHeld}). */
  holdChanged(cluster: Cluster): void;
  /**
   * What this standby has replayed is not known any more: reads that wait for a connection to it go to the primary.
   * @param isSilent it does not answer: neither may what runs there
   */
  standbyLost(node: RouteNode, isSilent: boolean): void;
  /** Other nodes than before are standbys that may serve. */
  standbysChanged(cluster: Cluster): void;
  /** No primary is known, and every node has refused to let us in, as its server has said. */
  refused(cluster: Cluster, refusal: ErrorFields): void;
}

/** Whose the clusters are. */
export interface ClusterOwner extends ClusterFollower {
  /** Something is to be done at the end of this turn of the loop. */
  clusterStirred(cluster: Cluster): void;
}

/** How fresh a standby must be that {@link Cluster.pick} gives. */
export type PickRule = 'eventual' | 'bounded' | 'session';

/** How many looks at the nodes fall into the time by which a bounded read may be late, and how long such reads are expected for. */
const LOOKS_PER_BOUND = 4;
const BOUNDED_READS_MS = 10_000;
const LOOK_MS_MIN = 20;
/** The shortest time between two doubts, in ms. */
const DOUBT_MS_MIN = 20;
/** A loop that was away for longer than this can't blame nodes for having been silent, in ms. */
const ABSENCE_MS = 500;

export class Cluster implements NodeWatcher, StrongReadsCluster {
  watches: readonly NodeWatch[];
  primaryWatch: NodeWatch | null = null;
  hasStandby = false;
  /** The primary is known, and gets no new transactions: it is about to hand over, or not open yet. */
  isHeld = false;
  readonly counters: RouteCounters = {
    readsOnStandbys: 0,
    readsOnPrimary: 0,
    standbyWaitTimeouts: 0,
    positionQuestions: 0,
  };
  private readonly context: GatewayContext;
  private readonly owner: ClusterOwner;
  private readonly shared: NodeConnections;
  /** Non-null: who the primary is, its store says. */
  private readonly belief: EpochBelief | null;
  private allNodes: readonly RouteNode[] = [];
  private readonly strong: StrongReads;
  private readonly balance = new Balance();
  private readonly history = new PositionHistory();
  private readonly flushed = new FlushedPosition();
  private readonly queries: NodeQueries;
  private lineage: Lineage = NO_LINEAGE;
  /** What is said of the primary by others than the nodes; null: nothing. */
  private word: ManagersWord | null = null;
  private areRolesStale = false;
  private doubtedAt = Number.NEGATIVE_INFINITY;
  private boundedReadAt = Number.NEGATIVE_INFINITY;
  private turnedAt: number;
  /** When a node is to be asked or missed, in ms. */
  private timersDueAt = 0;

  constructor(
    shared: NodeConnections,
    owner: ClusterOwner,
    nodes: readonly NodeSettings[],
    belief: EpochBelief | null,
  ) {
    this.shared = shared;
    this.belief = belief;
    this.context = shared.context;
    this.owner = owner;
    this.turnedAt = this.context.io.now();
    this.strong = new StrongReads(this.context, this);
    this.queries = new NodeQueries(shared, () => this.primary);
    this.watches = nodes.map((settings) => this.watch(settings));
    this.follow();
  }

  get database(): Database {
    return this.shared.database;
  }

  /** In the order of the configuration. */
  get nodes(): readonly RouteNode[] {
    return this.allNodes;
  }

  get primary(): RouteNode | null {
    return this.primaryWatch?.node ?? null;
  }

  /** Why no primary is known, as a server said it (a wrong password), when every node has refused us; null otherwise. */
  get refusal(): ErrorFields | null {
    const errors = this.watches.map(({ error }) => error);
    const areRefused = errors.every((error) => error !== null && !isTemporary(error.code));
    return this.primaryWatch === null && areRefused ? (errors[0] ?? null) : null;
  }

  // --- Reads --------------------------------------------------------------------------------------------------

  /**
   * The reader is told ({@link Reader.routed}) when a standby has replayed what the primary had written when it was asked, after
   * this call; or that it is to go to the primary.
   */
  awaitPosition(reader: Reader): void {
    this.strong.add(reader);
    this.stir();
  }

  /** True: a read that must see everything is to go to the primary at once, for no standby is near. It is counted. */
  keepsBack(): boolean {
    const { isHopeless } = this.strong;
    if (isHopeless) this.counters.readsOnPrimary += 1;
    return isHopeless;
  }

  /** Where a read that must see everything may be sent at once, if its answer is held; null: it is to wait. */
  early(): RouteNode | null {
    return this.strong.early();
  }

  /** The reader does not wait any more. */
  leave(reader: Reader): void {
    this.strong.remove(reader);
  }

  /**
   * A standby that may serve at once; null: the primary. All are within the lag limits. `bounded`: not older than
   * `bounded_staleness`. `session`: it has replayed `position`.
   * @param preferred the only one that comes into question, for a session that has read there, or is in a transaction there
   */
  pick(how: PickRule, position: number, preferred: RouteNode | null): RouteNode | null {
    const { settings, io } = this.context;
    const now = io.now();
    let node: RouteNode | null = null;
    if (how === 'bounded') this.boundedReadAt = now;
    const fits = how === 'bounded' ? this.isFresh : this.isFit;
    if (preferred !== null) node = fits(preferred, position, now) ? preferred : null;
    else {
      node = this.balance.choose(
        this.allNodes,
        settings,
        now,
        how === 'session' ? position : NO_POSITION,
        fits,
      );
    }
    if (node === null) this.counters.readsOnPrimary += 1;
    else this.counters.readsOnStandbys += 1;
    return node;
  }

  chooseAt(position: number): RouteNode | null {
    const { settings, io } = this.context;
    return this.balance.choose(this.allNodes, settings, io.now(), position, hasReplayed);
  }

  private readonly isFit = (node: RouteNode, position: number, now: number): boolean =>
    hasReplayed(node, position) && !this.isLagging(node, now);

  private readonly isFresh = (node: RouteNode, position: number, now: number): boolean =>
    this.isFit(node, position, now) &&
    this.history.ageOf(node.replayed, now) <= this.context.settings.boundedStalenessMs;

  /** A standby that has all that the primary had, when that was asked last, is not late, however long ago that was. */
  private isLagging({ replayed }: RouteNode, now: number): boolean {
    const { standbyLagBytes, standbyLagMs } = this.context.settings;
    const behind = this.history.position - replayed;
    if (behind <= 0) return false;
    if (standbyLagBytes > 0 && behind > standbyLagBytes) return true;
    return standbyLagMs > 0 && this.history.ageOf(replayed, now) > standbyLagMs;
  }

  // --- The nodes ----------------------------------------------------------------------------------------------

  private watch(settings: NodeSettings): NodeWatch {
    const news = { lost: () => this.doubt(watch), leftRecovery: () => watch.leftRecovery() };
    const node = new RouteNode(settings, this.context.io, news);
    const watch: NodeWatch = new NodeWatch(this.shared, node, this);
    return watch;
  }

  /** The list of nodes is another one. */
  private follow(): void {
    this.allNodes = this.watches.map(({ node }) => node);
    this.areRolesStale = true;
    this.timersDueAt = 0;
    this.stir();
  }

  /** A write was refused with 25006 by what was thought to be the primary: it is looked at again at once. */
  doubtPrimary(): void {
    const now = this.context.io.now();
    // Who writes in a read-only transaction again and again is no reason to ask without end.
    if (now < this.doubtedAt + DOUBT_MS_MIN) return;
    this.doubtedAt = now;
    for (const watch of this.watches) this.doubt(watch);
  }

  private doubt(watch: NodeWatch): void {
    watch.look();
    if (watch.connection.server === null) watch.connection.hurry();
  }

  looked(watch: NodeWatch): void {
    const { evidence, node } = watch;
    if (evidence === null || watch.error !== null) node.replayed = NO_POSITION;
    else if (evidence.isInRecovery) node.replayed = evidence.position;
    if (watch === this.primaryWatch && watch.error === null) this.notePrimary(watch);
    this.areRolesStale = true;
    this.timersDueAt = 0;
    this.stir();
  }

  private notePrimary({ evidence, evidenceAskedAt, evidenceAt }: NodeWatch): void {
    if (evidence === null) return;
    const position = recordEnd(evidence.position, evidence.pageBytes);
    this.flushed.note({ ...evidence, position }, evidenceAskedAt, evidenceAt);
    this.primaryAt(position, evidenceAskedAt);
  }

  positioned(watch: NodeWatch, position: number): void {
    if (position >= 0 && watch.node.role === 'standby') watch.node.replayed = position;
    this.strong.positioned(watch, position);
    this.stir();
  }

  primaryAt(position: number, askedAt: number): number {
    this.history.note(position, askedAt);
    return this.flushed.enoughFor(position);
  }

  private judge(now: number): void {
    const before = this.primaryWatch;
    const { standings, primary, candidate, lineage } = this.topology(now);
    if (candidate !== primary) this.lookAtOthers(this.watches[candidate]!);
    const isNewLineage =
      lineage.systemId !== this.lineage.systemId || lineage.timeline !== this.lineage.timeline;
    this.lineage = lineage;
    let haveChanged = false;
    standings.forEach(({ role, reason }, place) => {
      const watch = this.watches[place]!;
      const { node, error, isSilent } = watch;
      reportRole(this.context.io, this.database.name, watch, { role, reason });
      const served = node.mayServe;
      node.role = role;
      node.reason = reason;
      if (!served && node.mayServe) node.serves(now);
      haveChanged ||= served !== node.mayServe;
      if (served && (!node.mayServe || error !== null)) this.owner.standbyLost(node, isSilent);
    });
    this.hasStandby = this.allNodes.some(({ mayServe }) => mayServe);
    if (haveChanged) this.owner.standbysChanged(this);
    this.primaryWatch = primary === -1 ? null : this.watches[primary]!;
    const { refusal } = this;
    if (refusal !== null) this.owner.refused(this, refusal);
    const isHeld = this.belief?.isHeldAt(now) === true;
    const hasHoldChanged = isHeld !== this.isHeld;
    this.isHeld = isHeld;
    if (this.primaryWatch === before && (!isNewLineage || before === null)) {
      if (hasHoldChanged) this.owner.holdChanged(this);
      return;
    }
    this.primaryMoved();
  }

  private primaryMoved(): void {
    this.history.clear();
    this.flushed.clear();
    if (this.primaryWatch !== null) this.notePrimary(this.primaryWatch);
    this.strong.restart();
    this.owner.primaryChanged(this);
  }

  private topology(now: number): Topology {
    const { belief, watches, lineage } = this;
    if (belief === null) return judgeTopology(watches, lineage, this.hint);
    const epoch = belief.epochAt(now);
    const place = epoch === null ? -1 : watches.findIndex(({ node }) => node.settings.name === epoch.leader);
    return judgeByEpoch(watches, lineage, { epoch, place, whyNone: belief.whyNone(now) });
  }

  /** The name of the cluster whose store says who the primary is; null: the nodes say it. */
  get follows(): string | null {
    return this.belief?.name ?? null;
  }

  /** The store has been heard. */
  heard(nodes: readonly NodeSettings[], change: Change): void {
    this.renewNodes(nodes);
    if (change === 'nothing') return;
    for (const watch of this.watches) this.doubt(watch);
    if (change === 'deposed') {
      // Nothing new is sent there from now on, and what comes next is another one's.
      this.primaryWatch = null;
      this.primaryMoved();
      this.owner.primaryDeposed(this);
    }
    this.judge(this.context.io.now());
  }

  /** Somebody else has said which nodes there are, and perhaps which one is the primary. */
  found(nodes: readonly NodeSettings[], word: ManagersWord | null): void {
    this.renewNodes(nodes);
    if (word?.leader === this.word?.leader && word?.timeline === this.word?.timeline) return;
    this.word = word;
    this.areRolesStale = true;
    this.doubtPrimary();
    this.stir();
  }

  private get hint(): Hint | null {
    const { word, watches } = this;
    if (word === null) return null;
    const place = watches.findIndex(({ node }) => node.settings.name === word.leader);
    return { place, timeline: word.timeline };
  }

  /** Of one that may be the primary: has another one been promoted while it was away? */
  private lookAtOthers(candidate: NodeWatch): void {
    for (const watch of this.watches) {
      if (watch !== candidate && watch.evidenceAskedAt < candidate.evidenceAskedAt) watch.look();
    }
  }

  // --- Time ---------------------------------------------------------------------------------------------------

  private stir(): void {
    this.owner.clusterStirred(this);
  }

  /** The end of a turn of the loop. Does what has become necessary or is due; returns when more will be, in ms. */
  turn(now: number): number {
    const wasAway = now > this.turnedAt + ABSENCE_MS + NODE_LOOK_MS;
    this.turnedAt = now;
    if (now >= this.timersDueAt) this.timersDueAt = this.watchNodes(now, wasAway);
    const believedUntil = this.belief?.until ?? Number.POSITIVE_INFINITY;
    const isInDoubt = now >= believedUntil;
    if (isInDoubt && this.primaryWatch !== null) this.areRolesStale = true;
    if (this.areRolesStale) {
      this.areRolesStale = false;
      this.judge(now);
    }
    const next = Math.min(this.timersDueAt, this.strong.turn(now));
    return isInDoubt ? next : Math.min(next, believedUntil);
  }

  private watchNodes(now: number, wasAway: boolean): number {
    const every = this.lookEvery(now);
    // Often enough to notice that the loop was away.
    let next = now + NODE_LOOK_MS;
    for (const watch of this.watches) {
      if (wasAway) watch.forgive(now);
      next = Math.min(next, watch.advance(now, every));
    }
    return Math.min(next, this.queries.advance(now));
  }

  private lookEvery(now: number): number {
    if (now > this.boundedReadAt + BOUNDED_READS_MS) return NODE_LOOK_MS;
    const wanted = this.context.settings.boundedStalenessMs / LOOKS_PER_BOUND;
    return Math.min(NODE_LOOK_MS, Math.max(LOOK_MS_MIN, wanted));
  }

  // --- Queries, and what operators do -------------------------------------------------------------------------

  /** Runs a query of ours on the primary; null: it has failed, or there is no primary. */
  query(sql: string, done: (rows: QueryRows | null) => void): void {
    this.queries.run(sql, done);
    this.timersDueAt = 0;
    this.stir();
  }

  /** Asks the primary something small, over the connection that watches it. False: it can't be asked. */
  askPrimary(question: OwnQuestion, message: Uint8Array): boolean {
    const server = this.primaryWatch?.connection.server ?? null;
    server?.ask(question, message, Request.QUERY);
    return server !== null;
  }

  /** A pool of this database exists whose user may log in: so may the watching. */
  join(user: UserSettings, limits: PoolLimits): void {
    if (!this.shared.logins.join(user, limits)) return;
    for (const { connection } of this.watches) connection.hurry();
    this.timersDueAt = 0;
    this.stir();
  }

  /** Of users whose pools there are, how many it doesn't log in as any more, for there are too many. */
  get loginsForgotten(): number {
    return this.shared.logins.forgotten;
  }

  /** Nobody waits for anything. */
  get isIdle(): boolean {
    return this.strong.isEmpty && this.queries.isIdle;
  }

  /** Closes its connections; they are opened again when that may be. */
  replace(reason: string): void {
    for (const { connection } of this.watches) connection.replace(reason);
    this.queries.end(reason);
    this.timersDueAt = 0;
    this.stir();
  }

  /** A host name has other addresses. */
  leaveHost(name: string, vanished: ReadonlySet<string>): void {
    for (const { connection } of this.watches) connection.leave(name, vanished);
    this.timersDueAt = 0;
    this.stir();
  }

  /** Closes its connections for good. */
  end(reason: string): void {
    for (const { connection } of this.watches) connection.end(reason);
    this.queries.end(reason);
  }

  /** Brings it in line with new settings. Nodes that are still named stay what they are. */
  applySettings(nodes: readonly NodeSettings[], renew: Parameters<Logins['update']>[0]): void {
    const { logins } = this.shared;
    const before = logins.limits;
    logins.update(renew);
    if (leadElsewhere(before, logins.limits)) this.replace(CONFIGURATION_CHANGED);
    this.renewNodes(nodes);
  }

  private renewNodes(nodes: readonly NodeSettings[]): void {
    const old = this.watches;
    if (isSameList(old, nodes)) return;
    this.watches = nodes.map((settings) => {
      const known = old.find(({ node }) => isSameNode(node.settings, settings));
      if (known === undefined) return this.watch(settings);
      known.node.settings = settings;
      return known;
    });
    for (const watch of old) if (!this.watches.includes(watch)) watch.connection.end(CONFIGURATION_CHANGED);
    const last = old[this.lineage.primary];
    const primary = last === undefined ? -1 : this.watches.indexOf(last);
    this.lineage = { ...this.lineage, primary };
    this.follow();
  }

  /** What is known of the nodes, for `SHOW NODES`. */
  snapshot(): NodeSnapshot[] {
    const now = this.context.io.now();
    return this.watches.map((watch) => nodeSnapshot(watch, this.history, now));
  }
}

function hasReplayed(node: RouteNode, position: number): boolean {
  return node.mayServe && node.replayed !== NO_POSITION && node.replayed >= position;
}
